"""Writes docs/mutants.md from the list, the results and the reasons.

python -m scripts.mutants.page
"""

import collections
import json

from scripts.mutants.plan import LIST, ROOT
from scripts.mutants.run import REASONS, RESULTS

OUT = ROOT / 'docs' / 'mutants.md'
HEADER = """\
# Planted defects

`make mutants` plants single-line defects, one at a time, and runs the quick
tests that import the file, nearest first. `docs/mutants.json` lists them: drawn
by rule (`scripts/mutants/rules.py`), and committed before any ran. Written by
`python -m scripts.mutants.page`: edit that, not this page.

"""


def share(rows):
  """'caught of all (percent)' of rows that are no equivalents."""
  caught = sum(row['caught'] for row in rows)
  percent = 100 * caught / len(rows) if rows else float('nan')
  return f'{caught} of {len(rows)} ({percent:.1f} %)'


def page(defects, results, reasons):
  """Text of the page.

  Args:
    defects: of docs/mutants.json.
    results: {id: {'caught', 'by', 'seconds', 'commit'}}.
    reasons: {id: {'equivalent': bool, 'why': str}} of those not caught.
  """
  ran = [d | results[d['id']] for d in defects if d['id'] in results]
  waiting = [d for d in defects if d['id'] not in results]
  gone = sum(row['caught'] is None for row in ran)
  ran = [row for row in ran if row['caught'] is not None]
  same = lambda row: reasons.get(row['id'], {}).get('equivalent', False)
  real = [row for row in ran if not same(row)]
  lines = [
    f'Planted: {len(ran)} of {len(defects)} ({gone} lines are there no more). '
    f'Equivalent (the program does the same): {len(ran) - len(real)}. '
    f'Caught of the others: **{share(real)}**, target 98 %.',
    '',
    f'Commits: {", ".join(sorted({row["commit"] for row in ran}))}.',
    '',
  ]
  for name, of in (
    ('where', lambda row: row['id'].split('-')[0]),
    ('rule', lambda row: row['rule']),
  ):
    groups = collections.defaultdict(list)
    for row in real:
      groups[of(row)].append(row)
    lines += [f'| {name} | caught |', '|---|---|']
    lines += [f'| {key} | {share(groups[key])} |' for key in sorted(groups)]
    lines.append('')
  if waiting:
    lines += ['## Not run yet', '', '| defect | file | line | why |']
    lines.append('|---|---|---|---|')
    lines += [_line(row, reasons, 'no test has been asked') for row in waiting]
    lines.append('')
  lines += ['## Not caught', '', '| defect | file | line | why |']
  lines.append('|---|---|---|---|')
  missing = [row for row in ran if not row['caught']]
  lines += [_line(row, reasons, 'a test is missing') for row in missing]
  return HEADER + '\n'.join(lines) + '\n'


def _line(row, reasons, default):
  """A defect's row of a table, with its reason."""
  reason = reasons.get(row['id'], {'why': default})
  kind = 'equivalent: ' if reason.get('equivalent') else ''
  code = f'`{row["before"]}` to `{row["after"]}`'.replace('|', '\\|')
  return f'| {row["id"]} | {row["path"]} | {code} | {kind}{reason["why"]} |'


def main():
  """Entry point."""
  reasons = json.loads(REASONS.read_text()) if REASONS.exists() else {}
  text = page(
    json.loads(LIST.read_text()), json.loads(RESULTS.read_text()), reasons
  )
  OUT.write_text(text)


if __name__ == '__main__':
  main()
