"""Writes the tables of docs/worlds.md from results/worlds.

python -m scripts.make_worlds_doc [--measured DIR]

With --measured, the workdir of `experiments.worlds`, its tables are copied
there first.
"""

import argparse
import pathlib
import shutil
import sys

import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / 'results' / 'worlds'
OUT = ROOT / 'docs' / 'worlds.md'
START, END = '<!-- measured -->\n', '<!-- /measured -->'
COLUMNS = {
  'writer': 'writer',
  'kind': 'prompts',
  'gold': 'mean gold',
  'spread': 'sd within prompts',
  'nats': 'nats a reply',
  'sqrt_kl': 'to sqrt(KL)',
  'bow': 'bow',
  'p': 'exponent',
  'skew': 'skew',
  'kurtosis': 'excess kurtosis',
  'inner_sqrt_kl': 'inner sqrt(KL)',
  'inner_skew': 'skew there',
  'inner_kurtosis': 'kurtosis there',
  'tilted_skew': 'skew at the end',
  'normal_skew': 'of normal scores',
  'tilted_kurtosis': 'kurtosis at the end',
  'normal_kurtosis': 'of normal scores',
}
DIGITS = {'gold': 2, 'spread': 2, 'nats': 1, 'sqrt_kl': 2, 'inner_sqrt_kl': 2}


def markdown(rows):
  """A table from rows of strings, the first of them its head."""
  head, *body = [f'| {" | ".join(row)} |' for row in rows]
  return '\n'.join([head, '|---' * len(rows[0]) + '|', *body]) + '\n'


def shown(value, digits):
  """A value of a cell; nothing where there is none."""
  if isinstance(value, str):
    return value
  return '' if pd.isna(value) else f'{value:.{digits}f}'


def frontier_table(table):
  """The frontiers, a row a writer and kind of prompt."""
  rows = [list(COLUMNS.values())]
  for _, row in table.iterrows():
    row = row.copy()
    for name in ('normal_skew', 'normal_kurtosis'):
      ends = (row[f'{name}_{end}'] for end in ('low', 'high'))
      row[name] = ' to '.join(shown(end, 2) for end in ends)
    rows.append([shown(row[key], DIGITS.get(key, 3)) for key in COLUMNS])
  return markdown(rows)


def family_table(table):
  """Accuracy of the preference models, a row a family of request."""
  sizes = list(dict.fromkeys(table['size']))
  rows = [['family', 'test pairs', *(f'PM of {s}' for s in sizes), 'ceiling']]
  for family in dict.fromkeys(table['family']):
    part = table[table['family'] == family].set_index('size')
    best = part.iloc[-1]
    found = [shown(part['accuracy'].get(size), 3) for size in sizes]
    rows.append([family, str(best['n']), *found, shown(best['ceiling'], 3)])
  return markdown(rows)


def generate(text):
  """The page with its tables drawn anew.

  Args:
    text: of the page as it is.
  """
  before, rest = text.split(START)
  after = rest.split(END)[1]
  body = '\n' + frontier_table(pd.read_csv(SOURCE / 'worlds.csv'))
  if (SOURCE / 'families.csv').exists():
    body += (
      '\nAccuracy against the workers, beside the best that any preference '
    )
    body += 'model can expect:\n\n'
    body += family_table(pd.read_csv(SOURCE / 'families.csv'))
  return f'{before}{START}{body}\n{END}{after}'


def main():
  """Copies what was measured, if asked to, and writes the page."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--measured', help='workdir of experiments.worlds')
  measured = parser.parse_args().measured
  if measured:
    SOURCE.mkdir(parents=True, exist_ok=True)
    for file in pathlib.Path(measured).glob('*.csv'):
      shutil.copy(file, SOURCE)
  OUT.write_text(generate(OUT.read_text()))
  print(f'wrote {OUT}', file=sys.stderr)


if __name__ == '__main__':
  main()
