"""Rates of this tree over those of an earlier commit, in turns.

    python -m benchmarks.earlier --commit REV [--isa AVX2] [--shapes S 197K]
        [--turns 3] [--json FILE]

The earlier commit is checked out beside this tree while that takes. Every
turn is a process of its own on the same cores and packages, A B A B; a rate is
the work of a round over the median of all rounds, and over the fastest one: a
machine that is slow for minutes at a time moves the first, not the second. A
ratio above 1 means that this tree is faster. `--isa` lets the compiler use no
wider instructions than these, so that a processor stands in for a smaller one;
this tree then takes the microbatches that a processor has of which nothing is
known.
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks import common, processor
from benchmarks.peers import environments, turns
from benchmarks.peers.driver import UNITS

ROOT = environments.ROOT


@contextlib.contextmanager
def tree_of(commit):
  """The folder of a commit, as long as the context lasts.

  Raises:
    ValueError: if there is no such commit.
  """
  git = lambda *words: subprocess.run(
    ['git', *words], cwd=ROOT, capture_output=True, text=True, check=False
  )
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'tree'
    made = git('worktree', 'add', '--detach', str(path), commit)
    if made.returncode:
      reason = made.stderr.strip().splitlines()[-1]
      raise ValueError(f'--commit={commit}: wanted one of this tree: {reason}')
    try:
      yield path
    finally:
      git('worktree', 'remove', '--force', str(path))


def measure(root, metric, shape, args, cores):
  """{'earlier': reports, 'now': reports} of one metric, in turns.

  Args:
    root: tree of the earlier commit.
    metric: of `driver.UNITS`.
    shape: its name.
    args: rounds, warmups, turns, isa.
    cores: of both.
  """
  flags = ['--shape', shape, '--metric', metric]
  flags += ['--rounds', str(args.rounds), '--warmups', str(args.warmups)]
  limit = {}
  if args.isa:
    asked = os.environ.get('XLA_FLAGS', '')
    limit = {'XLA_FLAGS': f'{asked} --xla_cpu_max_isa={args.isa}'.strip()}
  sides = {
    'earlier': (root, flags),
    'now': (ROOT, [*flags, '--default', str(int(bool(args.isa)))]),
  }
  found = {name: [] for name in sides}
  for _ in range(args.turns):
    for name, (tree, words) in sides.items():
      found[name] += turns.drive(
        sys.executable, 'ours', words, cores, tree, **limit
      )
  return found


def row_of(metric, shape, isa, found):
  """One row from the reports of both sides.

  Raises:
    ValueError: if they did not do the same work.
  """
  work = {report['samples'] for side in found.values() for report in side}
  if len(work) > 1:
    raise ValueError(f'{metric}, {shape}: not the same work: {sorted(work)}')
  rates = {name: turns.rate(reports) for name, reports in found.items()}
  fastest = {
    name: min(report['seconds'] for report in reports)
    for name, reports in found.items()
  }
  return {
    'shape': shape,
    'metric': metric,
    'unit': UNITS[metric],
    'isa': isa or '',
    **rates,
    'ratio': rates['now'] / rates['earlier'],
    'best_ratio': fastest['earlier'] / fastest['now'],
    'commit': found['now'][0]['version'],
    'earlier_commit': found['earlier'][0]['version'],
  } | processor.describe()


def main(argv=None):
  """Measures; prints and keeps rows."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.earlier')
  parser.add_argument('--commit', required=True, help='the earlier one')
  parser.add_argument('--isa', help='widest instructions: SSE4_2, AVX2, ...')
  parser.add_argument('--shapes', nargs='+', default=['S', '197K'])
  parser.add_argument('--metrics', nargs='+', choices=list(UNITS))
  parser.add_argument('--turns', type=int, default=3)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--warmups', type=int, default=1)
  parser.add_argument('--cores', type=int, default=2)
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  args = parser.parse_args(argv)
  cores, rows = sorted(os.sched_getaffinity(0))[: args.cores], []
  with contextlib.ExitStack() as stack:
    try:
      root = stack.enter_context(tree_of(args.commit))
    except ValueError as error:
      parser.error(str(error))
    for shape in args.shapes:
      for metric in args.metrics or UNITS:
        found = measure(root, metric, shape, args, cores)
        rows.append(row_of(metric, shape, args.isa, found))
        print(
          '  {shape:5} {metric:26} now {now:9.1f}  earlier {earlier:9.1f} '
          '{unit}  ratio {ratio:.2f}, of the fastest rounds '
          '{best_ratio:.2f}'.format(**rows[-1]),
          flush=True,
        )
        common.write_rows(args.json, rows)
  return rows


if __name__ == '__main__':
  main()
