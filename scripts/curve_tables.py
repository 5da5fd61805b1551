"""Tables of RLOO, GRPO and DPO beside TRL's, from agreement_curves.csv."""

import csv

from benchmarks.agreement import curve_settings as told
from scripts.markdown_tables import NOTHING, markdown, number

FILE = 'agreement_curves.csv'


def read_rows(path):
  """Rows of the file, numbers as numbers; [] where there is none."""
  if not path.exists():
    return []
  words = ('algorithm', 'what', 'trl', 'commit')
  with path.open(newline='') as file:
    return [
      {k: x if k in words else float(x) for k, x in row.items()}
      for row in csv.DictReader(file)
    ]


def newest_rows(results):
  """Those of the last device of benchmarks/results that has them."""
  files = sorted(results.glob(f'*/{FILE}'))
  return read_rows(files[-1]) if files else []


def curves_table(rows):
  """A line for each number of each algorithm: how far apart at the most."""
  if not rows:
    return NOTHING
  kinds = dict.fromkeys((row['algorithm'], row['what']) for row in rows)
  body = []
  for kind in kinds:
    own = [row for row in rows if (row['algorithm'], row['what']) == kind]
    own.sort(key=lambda row: row['update'])
    most = max(own, key=lambda row: row['theirs'])
    ends = [
      f'{number(x["ours"])}, {number(x["theirs"])}' for x in (most, own[-1])
    ]
    worst = [max(row[x] for row in own) for x in ('difference', 'rounding')]
    body.append(
      [
        kind[0].upper(),
        kind[1],
        *ends,
        *(f'{x:.1e}' for x in worst),
        f'{own[0]["at_most"]:.0e}',
      ]
    )
  updates = int(max(row['update'] for row in rows))
  header = ['', 'number', 'largest: ours, TRL', f'update {updates}: ours, TRL']
  header += ['difference', 'rounding', 'at most']
  note = f'TRL {rows[0]["trl"]}; commit {rows[0]["commit"]}.'
  return f'{markdown(header, body)}\n\n{note}'


def told_table(curve=told.PRESETS['full']):
  """What both sides are told, a column for each algorithm."""
  code = lambda name: name if ' ' in name else f'`{name}`'
  body = [
    [
      what,
      code(ours),
      code(theirs),
      *(
        told.value_of(curve, way, ours) if way in ways else '-'
        for way in told.WAYS
      ),
    ]
    for what, ways, ours, theirs in told.NAMES
  ]
  return markdown(['what', 'ours', 'TRL', *map(str.upper, told.WAYS)], body)


def differ_table():
  """Where an equation of TRL's is another, and what is done about it."""
  header = ['', 'what', 'ours', 'TRL', 'in this comparison']
  return markdown(header, [list(row) for row in told.DIFFER])


def tables(results):
  """{name: table} of docs/baselines.md."""
  return {
    'agreement_curves': curves_table(newest_rows(results)),
    'agreement_curves_told': told_table(),
    'agreement_curves_differ': differ_table(),
  }
