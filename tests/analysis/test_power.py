"""Power as the page says it: from the simulated studies, by seeds and noise."""

import pytest

from rlhf_jax.analysis import chapters, claims_io, power
from scripts import make_operating_doc
from tests.test_readme import ROOT


def test_the_counts_are_those_of_the_studies_behind_the_page():
  """Of claim 13: passes in 58 of 60 as planned, 5 with the later noise."""
  assert power.counts() == make_operating_doc.effects()
  assert power.counts()['planned']['13'] == {'8': [58, 60]}
  assert power.counts()['headline']['13'] == {'8': [5, 60]}
  page = (ROOT / 'docs' / 'operating.md').read_text()
  line = next(
    x for x in page.splitlines() if x.startswith('| 13 |') and 'eff' in x
  )
  assert '97 % [88, 100] of 60' in line


@pytest.mark.parametrize(
  ('row', 'said'),
  [
    (
      {'id': 13, 'seeds': 8, 'preset': 'headline'},
      'Power with 8 seeds: 97 %; with the noise that the headline study '
      'showed, 8 %.',
    ),
    ({'id': 13, 'seeds': 9, 'preset': 'classic'}, 'Power with 8 seeds: 97 %.'),
    ({'id': 13, 'seeds': 7, 'preset': 'headline'}, ''),
    ({'id': 1, 'seeds': 6, 'preset': 'micro'}, 'Power with 5 seeds: 100 %.'),
    (
      {'id': 6, 'seeds': 1, 'unit': 'conversation'},
      'Power over these pairs: 100 %.',
    ),
    ({'id': 2, 'seeds': 1, 'unit': 'conversation'}, ''),
    ({'id': 999, 'seeds': 8}, ''),
  ],
)
def test_power_is_said_where_it_is_known(row, said):
  assert power.sentence(row) == said


def test_every_claim_of_eight_seeds_of_headline_says_its_power():
  document = claims_io.read_claims(ROOT / 'results/headline/claims.json')
  rows = [row for row in document['claims'] if row['verdict'] != 'not run']
  shown = {row['id']: chapters.claim(row, {})['power'] for row in rows}
  assert len(shown) > 20 and all(shown.values())
  assert sum('headline study showed' in text for text in shown.values()) > 8
