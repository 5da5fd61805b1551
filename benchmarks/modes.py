"""Products in bfloat16 with float32 results beside float32, by turns.

    python -m benchmarks.modes [--shapes S 197K] [--metrics pm_pairs_per_s ...]
        [--rounds 10] [--json FILE]

Both are ours (`benchmarks.peers.ours`), each with the microbatches of its own
that this device is fastest with. A ratio above 1 means that `matmul: bf16_f32`
is faster; where there are no matrix units both run in float32.
"""

import argparse
import contextlib
import os
import pathlib
import sys

from benchmarks import common, processor
from benchmarks.peers import turns
from benchmarks.peers.driver import UNITS

SHAPES = ('S', '197K')
METRICS = ('pm_pairs_per_s', 'ppo_samples_per_s', 'decode_tokens_per_s')


def row_of(shape, metric, rounded, plain):
  """One row from the reports of both modes.

  Raises:
    ValueError: if they did not do the same work.
  """
  turns.check_work(f'{metric}, {shape}', rounded, plain)
  return {
    'shape': shape,
    'metric': metric,
    'unit': UNITS[metric],
    'bf16_f32': turns.rate(rounded),
    'float32': turns.rate(plain),
    **turns.ratio(rounded, plain),
    'commit': plain[0]['version'],
  } | processor.describe()


def measure(shape, metric, rounds, cores):
  """The row of a shape and a metric."""
  flags = ['--metric', metric, '--rounds', str(rounds), '--shape']
  with contextlib.ExitStack() as stack:
    start = lambda name: turns.Player(
      sys.executable, 'ours', [*flags, name], cores, stack
    )
    rounded, plain = start(f'{shape}-bf16'), start(shape)
    turns.play(rounded, plain, rounds)
  return row_of(shape, metric, rounded.reports, plain.reports)


def main(argv=None):
  """Measures; prints and keeps rows."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.modes')
  parser.add_argument('--shapes', nargs='+', choices=SHAPES, default=SHAPES)
  parser.add_argument('--metrics', nargs='+', choices=UNITS, default=METRICS)
  parser.add_argument('--rounds', type=int, default=10)
  parser.add_argument('--cores', type=int, default=2)
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  args = parser.parse_args(argv)
  cores, rows = sorted(os.sched_getaffinity(0))[: args.cores], []
  for shape in args.shapes:
    for metric in args.metrics:
      try:
        rows.append(measure(shape, metric, args.rounds, cores))
      except turns.DriverError as error:
        sys.exit(f'modes: {metric}, {shape}: {error}')
      print(
        '  {shape:5} {metric:20} bf16_f32 {bf16_f32:9.1f}  float32 '
        '{float32:9.1f} {unit}  ratio {ratio:.2f} [{low:.2f}, {high:.2f}]'
        ''.format(**rows[-1]),
        flush=True,
      )
      common.write_rows(args.json, rows)
  return rows


if __name__ == '__main__':
  main()
