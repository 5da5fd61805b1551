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


def sentence(row: Mapping) -> str:
  """What the page says of the power of a claim; '' where nothing is known.

  Args:
    row: of claims.json.
  """
  number, found = str(row['id']), counts()
  if row.get('unit') == 'conversation':
    share = _share(found[REAL].get(number, {}).get('1'))
    return f'Power over these pairs: {share}.' if share else ''
  planned = found[PLANNED].get(number, {})
  enough = [n for n in planned if int(n) <= row.get('seeds', 0)]
  if not enough:
    return ''
  seeds = max(enough, key=int)
  text = f'Power with {seeds} seeds: {_share(planned[seeds])}'
  after = _share(found[HEADLINE].get(number, {}).get(seeds))
  if after and row.get('preset') == HEADLINE:
    text += f'; with the noise that the headline study showed, {after}'
  return f'{text}.'


def _share(pair):
  """'97 %' of [passes, studies]; '' of nothing."""
  return f'{100 * pair[0] / pair[1]:.0f} %' if pair else ''
