"""Rates of this tree over those of an earlier commit, in turns.

    python -m benchmarks.earlier --commit REV [--isa AVX2] [--shapes S 197K]
        [--rounds 12] [--json FILE]

The earlier commit is checked out beside this tree while that takes. Both are
processes of their own on the same cores and packages and have the machine by
turns, round by round (`benchmarks.peers.turns`). A rate is the work of a round
over the median of all rounds, the ratio the median over rounds that follow each
other, and beside it that of the fastest rounds. A ratio above 1 means that this
tree is faster. `--isa` lets the compiler use no wider instructions than these,
so that a processor stands in for a smaller one; this tree then takes the
microbatches that a processor has of which nothing is known.
"""

import argparse
import contextlib
import json
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


# For drivers of before 30 November 2026, which time all rounds at once and tell
# what they did at the end.
BEFORE = """

def time_calls(call, rounds, warmups):
  args = argparse.Namespace(rounds=rounds, warmups=warmups, by_turns=1)
  Clock('', '', 0, args).run(call)
  return []


def report(metric, version, samples, seconds):
  told = {'metric': metric, 'version': version, 'samples': samples}
  print(json.dumps({'told': told}), flush=True)
"""


def teach(root):
  """Lets the drivers of an earlier tree wait for turns: whether it had to.

  The tree gets the `benchmarks/peers/driver.py` of this one.
  """
  place = pathlib.PurePath('benchmarks', 'peers', 'driver.py')
  file = pathlib.Path(root) / place
  if 'class Clock' in file.read_text():
    return 'told = ' in file.read_text().rpartition('def report')[2]
  file.write_text((ROOT / place).read_text() + BEFORE)
  return True


def measure(root, metric, shape, args, cores):
  """{'earlier': reports, 'now': reports} of one metric, in turns.

  Args:
    root: tree of the earlier commit.
    metric: of `driver.UNITS`.
    shape: its name.
    args: rounds, warmups, isa.
    cores: of both.
  """
  flags = ['--shape', shape, '--metric', metric]
  flags += ['--rounds', str(args.rounds), '--warmups', str(args.warmups)]
  limit = {}
  if args.isa:
    asked = os.environ.get('XLA_FLAGS', '')
    limit = {'XLA_FLAGS': f'{asked} --xla_cpu_max_isa={args.isa}'.strip()}
  own = [*flags, '--default', str(int(bool(args.isa)))]
  taught = teach(root)
  with contextlib.ExitStack() as stack:
    start = lambda words, tree: turns.Player(
      sys.executable, 'ours', words, cores, stack, tree, **limit
    )
    now, old = start(own, ROOT), start(flags, root)
    turns.play(now, old, args.rounds)
    if taught:
      told = json.loads(old.until('{"told"'))['told']
      old.reports = [report | told for report in old.reports]
  return {'earlier': old.reports, 'now': now.reports}


def row_of(metric, shape, isa, found):
  """One row from the reports of both sides.

  Raises:
    ValueError: if they did not do the same work.
  """
  turns.check_work(f'{metric}, {shape}', *found.values())
  rates = {name: turns.rate(reports) for name, reports in found.items()}
  ratio = turns.ratio(found['now'], found['earlier'])
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
    **ratio,
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
  parser.add_argument('--rounds', type=int, default=12)
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
        try:
          found = measure(root, metric, shape, args, cores)
        except turns.DriverError as error:
          sys.exit(f'earlier: {metric}, {shape}: {error}')
        rows.append(row_of(metric, shape, args.isa, found))
        print(
          '  {shape:5} {metric:26} now {now:9.1f}  earlier {earlier:9.1f} '
          '{unit}  ratio {ratio:.2f} [{low:.2f}, {high:.2f}], of the '
          'fastest rounds {best_ratio:.2f}'.format(**rows[-1]),
          flush=True,
        )
        common.write_rows(args.json, rows)
  return rows


if __name__ == '__main__':
  main()
