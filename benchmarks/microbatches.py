"""Rows of a microbatch that this processor is fastest with.

    python -m benchmarks.microbatches [--subject pm_step ppo_iteration ...]
        [--shape S 197K] [--rows 4 8 16 32 64] [--rounds 5] [--json FILE]

A step goes through its rows in microbatches; larger ones make larger products,
smaller ones stay in a core's cache. All sizes are compiled on every core and
called in turns. `common.for_device` takes the best size from the file of this
device from then on, `benchmarks/results/DEVICE/microbatches.json`: for the rows
beside peers, which have theirs, and for the shares.
"""

import argparse
import functools
import pathlib
import statistics

from benchmarks import common, subjects
from benchmarks.shapes import SHAPES

SUBJECTS = {
  'pm_step': subjects.pm_step,
  'pm_step_read_whole': functools.partial(subjects.pm_step, shared=False),
  'ppo_iteration': subjects.ppo_iteration,
  'rloo_iteration': subjects.rloo_iteration,
}
ROWS = (4, 8, 16, 32, 64)


def measure(name, shape, sizes, rounds):
  """[(metric, value, unit)]: seconds of a call by size, and the best size."""
  calls = {}
  for rows in sizes:
    subject = SUBJECTS[name](shape._replace(microbatch_rows=rows))
    mesh = common.mesh_of(subject)
    program, state, args = common.compile_subject(subject, mesh)
    calls[rows] = common.threaded(program.call, state, *args)
  seconds = common.time_in_turns(calls, rounds, 1)
  median = {rows: statistics.median(times) for rows, times in seconds.items()}
  best = min(median, key=median.get)
  return [
    *((f'{name}_{rows}_s', found, 's') for rows, found in median.items()),
    (f'{name}_rows', best, 'rows'),
    (f'{name}_gain', median[shape.microbatch_rows] / median[best], 'ratio'),
  ]


def main(argv=None):
  """Measures; prints and keeps rows."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.microbatches')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument(
    '--subject', nargs='+', choices=list(SUBJECTS), default=list(SUBJECTS)
  )
  parser.add_argument(
    '--shape', nargs='+', choices=list(SHAPES), default=['S', '197K']
  )
  parser.add_argument('--rows', nargs='+', type=int, default=list(ROWS))
  parser.add_argument('--rounds', type=int, default=5)
  args = parser.parse_args(argv)
  common.use_every_core()
  rows = []
  for key in args.shape:
    shape = SHAPES[key]
    sizes = sorted({*args.rows, shape.microbatch_rows})
    for name in args.subject:
      print(f'{name}, shape {key}, {common.device_name()}')
      lines = measure(name, shape, sizes, args.rounds)
      new = common.to_rows('microbatches', key, lines)
      for row in new:
        common.print_row(row)
      rows += new
      common.write_rows(args.json, rows)
  return rows


if __name__ == '__main__':
  main()
