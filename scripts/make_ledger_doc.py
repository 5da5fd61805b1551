"""Writes docs/ledger.md: the verdicts of every freeze and rerun.

python -m scripts.make_ledger_doc

Verdicts of old rules are kept in docs/ledger.json, which was read from the
claims.json of its commits; those of now are read from results/.
"""

import json
import pathlib

from rlhf_jax.analysis import claims_io
from rlhf_jax.analysis.claims.judging import EDITION
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.intervals import NOT_RUN

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / 'docs' / 'ledger.json'
OUT = ROOT / 'docs' / 'ledger.md'
SHORT = {'pass': 'pass', 'fail': 'fail', 'inconclusive': 'open', NOT_RUN: '-'}
HEADER = """\
# Ledger

Every freeze of world, thresholds and settings, every run that followed one and
every rerun, with its verdicts, so that none is forgotten. Written by
`python -m scripts.make_ledger_doc` from `docs/ledger.json` and the claims.json
files below `results/`.

"""
VERDICTS = """
## Verdicts

**open** is inconclusive, **-** not run or not recorded. Columns of edition 1
are as they were judged then; those of edition {edition} are the same tables
under the rules of now (docs/claims.md). Seeds behind the claims on RL stand in
brackets.

"""


def read():
  """The ledger: freezes, runs judged by rules of before, reasons of change."""
  return json.loads(SOURCE.read_text())


def committed():
  """Study -> {claim number: verdict} of the claims.json files of now."""
  found = {}
  for file in sorted(ROOT.glob('results/*/claims.json')):
    rows = claims_io.read_claims(file)['claims']
    found[file.parent.name] = {str(r['id']): r['verdict'] for r in rows}
  return found


def freeze_lines(freezes):
  """A table of the freezes."""
  lines = ['## Freezes', '', '| commit | date | seeds | what |']
  lines.append('|---|---|---|---|')
  for freeze in freezes:
    cells = [f'`{freeze["commit"]}`', *map(freeze.get, ('date', 'seeds'))]
    lines.append('| ' + ' | '.join([*cells, freeze['what']]) + ' |')
  return lines


def run_lines(runs):
  """A list of the runs that were judged by rules of before."""
  lines = ['', '## Runs', '']
  for run in runs:
    where = f'`{run["source"]}`'
    if run['committed']:
      where += f' at `{run["committed"]}`'
    lines.append(
      f'- **{run["name"]}**: code `{run["code"]}`, edition {run["edition"]}, '
      f'verdicts from {where}. {run["note"]}'
    )
  return lines


def verdict_lines(ledger, now):
  """A row a claim that any of the runs judged."""
  old = {
    f'{run["name"]} ({run["rl_seeds"]}), edition {run["edition"]}': run
    for run in ledger['runs']
  }
  new = {f'{study}, edition {EDITION}': rows for study, rows in now.items()}
  head = ['#', 'claim', *old, *new, 'what changed']
  lines = ['| ' + ' | '.join(head) + ' |', '|---' * len(head) + '|']
  registry = load()
  for number, reason in ledger['reasons'].items():
    columns = [run['verdicts'] for run in old.values()] + list(new.values())
    found = [SHORT[column.get(number, NOT_RUN)] for column in columns]
    cells = [number, registry.claim(int(number)).title, *found, reason]
    lines.append('| ' + ' | '.join(cells) + ' |')
  return lines


def generate():
  """The text of docs/ledger.md."""
  ledger = read()
  lines = [*freeze_lines(ledger['freezes']), *run_lines(ledger['runs'])]
  text = HEADER + '\n'.join(lines) + '\n' + VERDICTS.format(edition=EDITION)
  return text + '\n'.join(verdict_lines(ledger, committed())) + '\n'


if __name__ == '__main__':
  OUT.write_text(generate())
  print(f'wrote {OUT.relative_to(ROOT)}')
