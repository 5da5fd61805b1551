"""Ours against the peers on the same shapes, round by round in turns.

    python -m benchmarks.peers.compare [--shapes S 197K] [--rounds 10] [--plan]

Each side is a process of its own on the same cores, the CPU only; after its
warm-ups it waits while the other has its turn (`turns`). A rate is the work of
a round over the median of all rounds, the ratio the median over rounds that
follow each other. A row goes to `benchmarks/results/<device>/peers.json`, in
the place of the one of the same shape, metric and peer; other rows stay.
`--plan` says which rows there will be, and runs nothing. A peer that cannot be
installed or fails is named with the reason, and gets no row.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import sys
from typing import NamedTuple

from benchmarks import processor
from benchmarks.peers import environments, turns
from benchmarks.peers.driver import UNITS
from benchmarks.peers.turns import DriverError
from benchmarks.shapes import SHAPES

ROOT = environments.ROOT


class Contest(NamedTuple):
  """One metric and one peer.

  Attributes:
    metric: of `driver.UNITS`.
    peer: its name.
    environment: of `environments.ENVIRONMENTS`.
    module: of its driver.
    flags: of its driver, besides those that every driver has.
  """

  metric: str
  peer: str
  environment: str
  module: str
  flags: tuple[str, ...] = ()


FEW = 10
ROUNDS = {'197K': 20, '197K-bf16': 20}  # they take a tenth of the time of S
WHOLE = 'pm_pairs_per_s_read_whole'
CONTESTS = (
  Contest('pm_pairs_per_s', 'TRL RewardTrainer', 'trl', 'trl_reward'),
  Contest(  # TRL reads both sides of a pair whole; here ours does so too
    WHOLE, 'TRL RewardTrainer', 'trl', 'trl_reward', ('--metric', WHOLE)
  ),
  Contest(
    'decode_tokens_per_s',
    'transformers generate',
    'trl',
    'transformers_generate',
  ),
  Contest('ppo_samples_per_s', 'TRL PPOTrainer', 'trl-1.11', 'trl_ppo'),
  Contest('rloo_samples_per_s', 'TRL RLOOTrainer', 'trl-1.11', 'trl_rloo'),
  Contest('ppo_samples_per_s', 'Tunix PPOLearner', 'tunix', 'tunix_ppo'),
)


def merge(contest, shape, device, ours, theirs):
  """One row of peers.json from the reports of both sides.

  Raises:
    ValueError: if they did not do the same work.
  """
  work = {(r['metric'], r['samples']) for r in ours + theirs}
  if work != {(contest.metric, ours[0]['samples'])}:
    raise ValueError(f'{contest.peer}: not the same work: {sorted(work)}')
  return {
    'shape': shape,
    'metric': contest.metric,
    'unit': UNITS[contest.metric],
    'peer': contest.peer,
    'version': theirs[0]['version'],
    'ours': turns.rate(ours),
    'theirs': turns.rate(theirs),
    **turns.ratio(ours, theirs),
    'device': device,
    'commit': ours[0]['version'],
  }


def alternate(contest, shape, args, cores):
  """Both sides in turns: a row, or None with the reason printed."""
  rounds = args.rounds or ROUNDS.get(shape, FEW)
  flags = ['--shape', shape, '--rounds', str(rounds)]
  flags += ['--warmups', str(args.warmups)]
  python = environments.python_of(contest.environment)
  own = [*flags, '--metric', contest.metric]
  try:
    with contextlib.ExitStack() as stack:
      ours = turns.Player(sys.executable, 'ours', own, cores, stack)
      theirs = turns.Player(
        python, contest.module, [*flags, *contest.flags], cores, stack
      )
      turns.play(ours, theirs, rounds)
  except DriverError as error:
    print(f'  {contest.peer}, shape {shape}: left out: {error}', flush=True)
    return None
  device = processor.folder_name(len(cores))
  row = merge(contest, shape, device, ours.reports, theirs.reports)
  row |= processor.describe()
  print(
    f'  {shape:5} {row["metric"]:20} {row["peer"]:28} {row["version"]:10} '
    f'ours {row["ours"]:9.1f}  theirs {row["theirs"]:9.1f} {row["unit"]}  '
    f'ratio {row["ratio"]:.2f} [{row["low"]:.2f}, {row["high"]:.2f}]',
    flush=True,
  )
  return row


def key_of(row):
  """What there is one row of: (metric, peer, shape)."""
  return row['metric'], row['peer'], row['shape']


def replaced(old, new):
  """The old rows, with the new ones in the place of those of the same key.

  In the order of CONTESTS, and of SHAPES within one; rows of a contest that is
  no more come last.
  """
  rows = {key_of(row): row for row in [*old, *new]}
  order = {
    (contest.metric, contest.peer, shape): place
    for place, (contest, shape) in enumerate(
      itertools.product(CONTESTS, SHAPES)
    )
  }
  return sorted(
    rows.values(), key=lambda row: order.get(key_of(row), len(order))
  )


def write(path, new):
  """Puts rows into a file of rows; returns all that it then holds."""
  old = json.loads(path.read_text()) if path.exists() else []
  rows = replaced(old, new)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(rows, indent=1) + '\n')
  return rows


def default_shapes(extensions=None):
  """Shapes of a run that is told none: bfloat16 too where it is fast.

  Args:
    extensions: of the processor, as `processor.describe` names them; None:
      those of this one.
  """
  if extensions is None:
    extensions = processor.describe()['extensions']
  rounded = ('S-bf16',) if 'bf16' in extensions else ()
  return ('S', '197K', *rounded)


def main(argv=None):
  """Builds the environments, runs every contest, writes the rows.

  Returns:
    The rows of the file; with --plan, [(Contest, shape)].
  """
  parser = argparse.ArgumentParser(prog='python -m benchmarks.peers.compare')
  parser.add_argument('--shapes', nargs='+', choices=list(SHAPES))
  parser.add_argument('--only', nargs='+', help='modules of the drivers to run')
  parser.add_argument(
    '--rounds', type=int, help='of each side; not given: those of the shape'
  )
  parser.add_argument('--warmups', type=int, default=2)
  parser.add_argument('--cores', type=int, default=2)
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument(
    '--plan', action='store_true', help='list the rows and run nothing'
  )
  args = parser.parse_args(argv)
  cores = sorted(os.sched_getaffinity(0))[: args.cores]
  contests = [c for c in CONTESTS if not args.only or c.module in args.only]
  shapes = args.shapes or default_shapes()
  if args.plan:
    planned = list(itertools.product(contests, shapes))
    for contest, shape in planned:
      requirements = ' '.join(environments.ENVIRONMENTS[contest.environment])
      print(f'  {shape:5} {contest.metric:26} {contest.peer:24} {requirements}')
    return planned
  failed = {
    name: environments.build(name)
    for name in dict.fromkeys(c.environment for c in contests)
  }
  rows = []
  for contest in contests:
    if failed[contest.environment]:
      print(f'  {contest.peer}: left out: {failed[contest.environment]}')
      continue
    for shape in shapes:
      rows.append(alternate(contest, shape, args, cores))
  folder = ROOT / 'benchmarks' / 'results' / processor.folder_name(len(cores))
  path = args.json or folder / 'peers.json'
  new = [row for row in rows if row]
  rows = write(path, new)
  print(f'{len(new)} new rows of {len(rows)} in {path}')
  return rows


if __name__ == '__main__':
  main()
