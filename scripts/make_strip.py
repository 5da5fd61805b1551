"""Writes the strip of claims of README.md from results/headline.

And below it, which verdicts the other committed studies add.

python -m scripts.make_strip
"""

import pathlib

from rlhf_jax.analysis import claims_io, readable
from rlhf_jax.analysis.intervals import NOT_RUN
from scripts import make_map_doc

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / 'README.md'
STUDY = 'headline'
CLAIMS = ROOT / 'results' / STUDY / 'claims.json'
BEGIN, END = '<!-- strip:begin -->\n', '<!-- strip:end -->'
MARKS = {'pass': '✓', 'fail': '✗', 'inconclusive': '?'}


def strip_of(document) -> str:
  """A line a claim that was run: its deciding number beside its bound."""
  lines = [
    '| # | claim | what decides | 95 % interval | wanted | verdict |',
    '|---|---|---|---|---|---|',
  ]
  for row in document['claims']:
    if row['verdict'] == NOT_RUN:
      continue
    one = claims_io.deciding(row)
    ends = '-' if row['ci'] is None else '{:.3g} to {:.3g}'.format(*row['ci'])
    cells = (
      str(row['id']),
      row['title'],
      f'{one["mean"]:.3g} ({readable.words(one["name"])})',
      ends,
      claims_io.bound_text(one),
      f'{MARKS[row["verdict"]]} {row["verdict"]}',
    )
    lines.append('| ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines) + '\n'


def beside(found, study=STUDY) -> str:
  """'In other studies: pass 8, 62; fail 53.', of claims that this one lacks.

  Args:
    found: number -> (study, row), as of `make_map_doc.found_claims`.
    study: its name.
  """
  parts = []
  for verdict, mark in MARKS.items():
    numbers = [
      str(number)
      for number, (other, row) in sorted(found.items())
      if other != study and row['verdict'] == verdict
    ]
    if numbers:
      parts.append(f'{mark} {verdict} {", ".join(numbers)}')
  return f'\nIn other studies: {"; ".join(parts)}.\n' if parts else ''


def generate() -> str:
  """README.md with the strip that the claims give."""
  head, rest = PAGE.read_text().split(BEGIN)
  strip = strip_of(claims_io.read_claims(CLAIMS))
  strip += beside(make_map_doc.found_claims())
  return f'{head}{BEGIN}{strip}{END}{rest.split(END)[1]}'


if __name__ == '__main__':
  PAGE.write_text(generate())
