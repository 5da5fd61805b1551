"""Attacks on a tiny study: malformed records, bit flips, kills.

    python -m scripts.attack [--records 1000] [--flips 150] [--kills 20]
      [--workdir runs/attack] [--json docs/reliability.json]

--flips is of each kind of file, --kills of each of the two stages. What was
tried stands in WORKDIR/trials.jsonl: the same command goes on. About an hour on
two cores. Ends with 1 if anything was silent or unclear.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from rlhf_jax.train.run import environment
from scripts.attack import flips, kills, records, study
from scripts.attack.trials import Trials


class Report:
  """Prints a line at most every few seconds."""

  def __init__(self, seconds=3.0):
    self._seconds, self._last = seconds, 0.0

  def __call__(self, text):
    """Prints, unless it has just done so."""
    if time.time() - self._last > self._seconds:
      self._last = time.time()
      print(text, file=sys.stderr, flush=True)


def main(arguments=None):
  """Attacks, writes the figures and prints them; the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--records', type=int, default=1000)
  parser.add_argument('--flips', type=int, default=150)
  parser.add_argument('--kills', type=int, default=20)
  parser.add_argument('--workdir', type=Path, default=Path('runs/attack'))
  parser.add_argument('--json', type=Path)
  args = parser.parse_args(arguments)
  root, report = args.workdir.resolve(), Report()
  trials = Trials(root)
  study.make(root / 'study', report)
  with tempfile.TemporaryDirectory() as scratch:
    records.attack(trials, scratch, args.records, report)
    flips.attack(trials, root / 'study', scratch, args.flips, report)
    kills.attack(trials, root / 'study', scratch, args.kills, report)
  table = trials.table()
  for row in table:
    print('  '.join(f'{k} {v}' for k, v in row.items() if v or k == 'silent'))
  if args.json:
    env = environment()
    made = {'commit': env['commit'], 'device': env['device'], 'rows': table}
    args.json.write_text(json.dumps(made, indent=1) + '\n')
  return int(any(row['silent'] or row['unclear'] for row in table))


if __name__ == '__main__':
  sys.exit(main())
