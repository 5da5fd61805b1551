"""Power of claims: how often studies pass where a claim is true as stated.

power.json holds passes and studies, simulated beforehand with the noise of the
study micro, and afterwards with that which the headline study turned out to
have; `python -m scripts.make_operating_doc` writes it and docs/operating.md.
"""

import functools
import json
import pathlib
from collections.abc import Mapping

FILE = pathlib.Path(__file__).with_name('power.json')
PLANNED, HEADLINE, REAL = 'planned', 'headline', 'real'


@functools.cache
def counts() -> dict:
  """{noise: {claim: {seeds: [passes, studies]}}}; of real pairs seeds are 1."""
  return json.loads(FILE.read_text(encoding='utf-8'))


def share(row: Mapping) -> float | None:
  """Share of passes where the claim is true; None where nothing is known.

  With the noise that the study turned out to have, if that was simulated.

  Args:
    row: of claims.json.
  """
  pair = _after(row) or _planned(row)[1]
  return pair[0] / pair[1] if pair else None


def sentence(row: Mapping) -> str:
  """What the page says of the power of a claim; '' where nothing is known.

  Args:
    row: of claims.json.
  """
  if row.get('unit') == 'conversation':
    text = _share(_planned(row)[1])
    return f'Power over these pairs: {text}.' if text else ''
  seeds, pair = _planned(row)
  if not pair:
    return ''
  text = f'Power with {seeds} seeds: {_share(pair)}'
  if after := _share(_after(row)):
    text += f'; with the noise that the headline study showed, {after}'
  return f'{text}.'


def _planned(row):
  """(seeds, [passes, studies]) simulated beforehand; ('', None) of nothing."""
  number, found = str(row['id']), counts()
  if row.get('unit') == 'conversation':
    return '1', found[REAL].get(number, {}).get('1')
  planned = found[PLANNED].get(number, {})
  enough = [n for n in planned if int(n) <= row.get('seeds', 0)]
  seeds = max(enough, key=int, default='')
  return seeds, planned.get(seeds)


def _after(row):
  """[passes, studies] with the noise of headline; None of other studies."""
  if row.get('preset') != HEADLINE or row.get('unit') == 'conversation':
    return None
  return counts()[HEADLINE].get(str(row['id']), {}).get(_planned(row)[0])


def _share(pair):
  """'97 %' of [passes, studies]; '' of nothing."""
  return f'{100 * pair[0] / pair[1]:.0f} %' if pair else ''
