"""Draws the defects that `scripts.mutants.run` plants, before any test runs.

    python -m scripts.mutants.plan [--seed N]

The list, docs/mutants.json, is committed first: nobody chooses a defect by
whether a test sees it. A stratum is a room of the library or the stages; within
it a rule is drawn, then one of its edits, at most two in a function.
"""

import argparse
import json
import random
from collections import Counter, defaultdict
from pathlib import Path

from scripts.mutants import rules

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / 'docs' / 'mutants.json'
ROOMS = ('losses', 'train', 'rollout', 'data', 'crowd', 'analysis')
PER_ROOM = 18
STAGES = (
  'evaluate_hhh',
  'make_comparisons',
  'make_text',
  'train_lm',
  'train_pm',
  'train_ppo',
)
OF_STAGES = 54


def strata():
  """{name: (files, number of defects)}."""
  rooms = {
    room: (sorted((ROOT / 'rlhf_jax' / room).rglob('*.py')), PER_ROOM)
    for room in ROOMS
  }
  stages = [ROOT / 'experiments' / f'{name}.py' for name in STAGES]
  shared = sorted((ROOT / 'experiments' / 'shared').glob('*.py'))
  return rooms | {'stages': (stages + shared, OF_STAGES)}


def candidates(files):
  """{rule: [defect]} of all edits that leave Python which means another."""
  found = defaultdict(list)
  for path in files:
    source = path.read_text()
    for rule, function, edit in rules.edits_of(source):
      line = source.splitlines()[edit.line - 1]
      after = line[: edit.start] + edit.text + line[edit.stop :]
      found[rule].append(
        {
          'path': path.relative_to(ROOT).as_posix(),
          'rule': rule,
          'function': function,
          'edit': edit._asdict(),
          'before': line.strip(),
          'after': after.strip(),
        }
      )
  return found


def draw(rng, found, count, per_function=2):
  """`count` defects, of each rule as many as of another where there are."""
  drawn, lines, functions = [], set(), Counter()
  pools = {rule: rng.sample(pool, len(pool)) for rule, pool in found.items()}
  while len(drawn) < count and any(pools.values()):
    rule = rng.choice(sorted(r for r, pool in pools.items() if pool))
    defect = pools[rule].pop()
    place = defect['path'], defect['edit']['line']
    where = defect['path'], defect['function']
    source = (ROOT / defect['path']).read_text()
    edit = rules.Edit(**defect['edit'])
    if place in lines or functions[where] >= per_function:
      continue
    if rules.apply(source, edit) is None:
      continue
    lines.add(place)
    functions[where] += 1
    drawn.append(defect)
  return drawn


def main(arguments=None):
  """Entry point."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--seed', type=int, default=1)
  arguments = parser.parse_args(arguments)
  rng = random.Random(arguments.seed)
  defects = []
  for name, (files, count) in strata().items():
    for defect in draw(rng, candidates(files), count):
      defects.append({'id': f'{name}-{len(defects):03d}', **defect})
  LIST.write_text(json.dumps(defects, indent=1) + '\n')
  print(f'{len(defects)} defects: {LIST.relative_to(ROOT)}')


if __name__ == '__main__':
  main()
