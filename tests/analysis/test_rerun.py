"""A rerun on other seeds: verdicts that turn, and passes that power lets go."""

import json
import math
import pathlib

import pytest

from experiments import compare as script
from rlhf_jax.analysis import claims_io, power, rerun

ROOT = pathlib.Path(__file__).parents[2]
HEADLINE = ROOT / 'results' / 'headline'


def document(**verdicts):
  """Of claims.json: verdicts by number of the claim, as c1='pass'."""
  claims = [
    {'id': int(name[1:]), 'verdict': verdict, 'seeds': 8, 'preset': 'x'}
    for name, verdict in verdicts.items()
  ]
  return {'claims': claims}


def test_verdicts_that_turn_and_that_are_lost_and_gained():
  first = document(c1='pass', c4='pass', c6='fail', c11='inconclusive', c13='x')
  second = document(c1='fail', c4='inconclusive', c6='pass', c11='pass')
  second['claims'] += document(c12='pass', c13='not run')['claims']
  found = rerun.compare(first, second)
  assert found.judged == (1, 4, 6, 11)
  assert found.turned == (1, 6)
  assert found.lost == (4,) and found.gained == (11,)
  assert found.powered == (1, 4)


def test_expected_losses_and_their_chance_are_those_of_the_power(monkeypatch):
  """Powers .9 and .5: one of two lost or more has 1 - .45 = .55."""
  shares = {1: 0.9, 4: 0.5, 6: None}
  monkeypatch.setattr(power, 'share', lambda row: shares[row['id']])
  first = document(c1='pass', c4='pass', c6='pass')
  found = rerun.compare(
    first, document(c1='pass', c4='inconclusive', c6='inconclusive')
  )
  assert found.lost == (4, 6) and found.powered == (1, 4)
  assert found.expected == pytest.approx(0.6)
  assert found.chance == pytest.approx(0.55)


def test_the_tail_is_the_binomial_one_where_chances_are_equal():
  tail = sum(math.comb(6, k) * 0.3**k * 0.7 ** (6 - k) for k in range(2, 7))
  assert rerun.at_least(2, [0.3] * 6) == pytest.approx(tail)
  assert rerun.at_least(0, []) == 1 and rerun.at_least(1, []) == 0


def test_a_power_is_that_of_the_noise_that_a_study_had():
  assert power.share({'id': 13, 'seeds': 8, 'preset': 'headline'}) == 5 / 60
  assert power.share({'id': 13, 'seeds': 8, 'preset': 'classic'}) == 58 / 60
  assert power.share({'id': 13, 'seeds': 3, 'preset': 'headline'}) is None


def test_the_page_says_what_a_rerun_of_one_preset_turns(tmp_path):
  """The verdicts of headline, one of them turned."""
  folder = tmp_path / 'again'
  document = json.loads((HEADLINE / 'claims.json').read_text())
  rows = {row['id']: row for row in document['claims']}
  rows[1]['verdict'] = 'fail'
  folder.mkdir()
  claims_io.write_claims(folder / 'claims.json', document)
  out = tmp_path / 'page'
  assert script.main([str(HEADLINE), str(folder), '--out', str(out)]) == 0
  text = ' '.join((out / 'index.html').read_text().split())
  assert 'From pass to fail, or the other way: 1.' in text
  micro = str(ROOT / 'results' / 'micro')
  assert script.main([micro, str(folder), '--out', str(out)]) == 0
  assert 'on other seeds' not in (out / 'index.html').read_text()
