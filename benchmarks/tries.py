"""Options of the XLA compiler for CPUs, and what each does to a rate.

    python -m benchmarks.tries [--subject decode pm_step] [--shape 197K]
        [--rounds 10] [--json FILE]

A program is compiled with an option and without, and both are called in turns,
A B A B, on one device. A ratio above 1 is faster with the option: the median of
the seconds without it over those with it, on the wall and of the process's CPU
time. The first results of both are compared to the bit.
"""

import argparse
import json
import pathlib
import statistics
import time

import jax
import numpy as np

from benchmarks import common, processor, subjects
from benchmarks.shapes import SHAPES
from rlhf_jax.train.run import environment

SUBJECTS = {
  'decode': subjects.decode,
  'pm_step': subjects.pm_step,
  'ppo_iteration': subjects.ppo_iteration,
}
OPTIONS = (
  ('xla_cpu_use_fusion_emitters', True),
  ('xla_cpu_use_fusion_emitters', False),
  ('xla_cpu_prefer_vector_width', 128),
  ('xla_cpu_prefer_vector_width', 512),
  ('xla_cpu_multi_thread_eigen', False),
  ('xla_cpu_enable_concurrency_optimized_scheduler', False),
  ('xla_cpu_enable_fast_min_max', True),
  ('xla_cpu_enable_fast_math', True),
  ('xla_cpu_use_xnnpack', True),
  ('xla_cpu_copy_insertion_use_region_analysis', True),
)


def compiled(subject, options):
  """A subject's program with options of the compiler.

  Raises:
    jax.errors.JaxRuntimeError: if the compiler knows no such option.
  """
  return common.compile_program(
    subject.function,
    subject.state,
    *subject.args,
    donate=0,
    compiler_options=dict(options),
  )


def results(program, subject):
  """All numbers of a program's first call, as host arrays."""
  call = common.threaded(program.call, subject.state, *subject.args)
  return [np.asarray(x) for x in jax.tree.leaves(jax.device_get(call()))]


def difference(ours, theirs):
  """'same numbers', or the largest difference of a floating-point number."""
  same = lambda a, b: np.array_equal(a, b, equal_nan=a.dtype.kind == 'f')
  if all(map(same, ours, theirs)):
    return 'same numbers'
  pairs = list(zip(ours, theirs, strict=True))
  if any(a.dtype.kind != 'f' and not same(a, b) for a, b in pairs):
    return 'other tokens'
  floats = [(a, b) for a, b in pairs if a.dtype.kind == 'f' and a.size]
  far = max(float(np.max(np.abs(a - b))) for a, b in floats)
  return f'differ by {far:.1e} at most'


def seconds_of(calls, rounds):
  """{name: [(wall, CPU) of each round]}, in turns, after one round unseen."""
  found = {name: [] for name in calls}
  for _ in range(rounds + 1):
    for name, call in calls.items():
      wall, own = time.perf_counter(), time.process_time()
      jax.block_until_ready(call())
      ended = time.perf_counter() - wall, time.process_time() - own
      found[name].append(ended)
  return {name: rows[1:] for name, rows in found.items()}


def tried(subject, option, rounds):
  """{'cpu_ratio', 'wall_ratio', 'note'} of one option; None: unknown to XLA."""
  plain = compiled(subject, ())
  try:
    other = compiled(subject, (option,))
  except jax.errors.JaxRuntimeError:
    return None
  note = difference(*(results(x, subject) for x in (plain, other)))
  calls = {
    name: common.threaded(x.call, subject.state, *subject.args)
    for name, x in (('plain', plain), ('other', other))
  }
  seconds = seconds_of(calls, rounds)
  middle = lambda name, i: statistics.median(x[i] for x in seconds[name])
  wall, cpu = (middle('plain', i) / middle('other', i) for i in (0, 1))
  return {'cpu_ratio': cpu, 'wall_ratio': wall, 'note': note}


def merged(path, rows):
  """The rows of a file with these in place of those of the same tries."""
  old = json.loads(path.read_text()) if path and path.exists() else []
  new = {row['try'] for row in rows}
  return [row for row in old if row['try'] not in new] + rows


def main(argv=None):
  """Tries every option on every subject and shape; returns the rows."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.tries')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument(
    '--subject', nargs='+', choices=list(SUBJECTS), default=list(SUBJECTS)
  )
  parser.add_argument(
    '--shape', nargs='+', choices=list(SHAPES), default=['197K']
  )
  parser.add_argument('--rounds', type=int, default=10)
  args = parser.parse_args(argv)
  fixed = processor.describe() | {'commit': environment()['commit']}
  rows = []
  for shape in args.shape:
    for name in args.subject:
      subject = SUBJECTS[name](SHAPES[shape])
      for option in OPTIONS:
        words = f'{name}, {shape}: {option[0]}={str(option[1]).lower()}'
        found = tried(subject, option, args.rounds)
        if found is None:
          print(f'{words}: no such option')
          continue
        print(
          f'{words}: CPU {found["cpu_ratio"]:.3f}, wall '
          f'{found["wall_ratio"]:.3f}, {found["note"]}',
          flush=True,
        )
        row = {'try': words, 'rounds': args.rounds, 'kept': False}
        rows.append(row | found | fixed)
        if args.json:
          args.json.write_text(
            json.dumps(merged(args.json, rows), indent=1) + '\n'
          )
  return rows


if __name__ == '__main__':
  main()
