"""Writes the strip of claims of README.md from results/micro.

python -m scripts.make_strip
"""

import pathlib

from rlhf_jax.analysis import claims_io, readable
from rlhf_jax.analysis.intervals import NOT_RUN

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / 'README.md'
CLAIMS = ROOT / 'results' / 'micro' / 'claims.json'
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


def generate() -> str:
  """README.md with the strip that the claims give."""
  head, rest = PAGE.read_text().split(BEGIN)
  strip = strip_of(claims_io.read_claims(CLAIMS))
  return f'{head}{BEGIN}{strip}{END}{rest.split(END)[1]}'


if __name__ == '__main__':
  PAGE.write_text(generate())
