"""How often claims pass where they are false, and where they are true."""

import math
import pathlib

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import runs
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.operating import rl
from rlhf_jax.analysis.operating.noise import (
  HEADLINE,
  NOISE,
  drawn_with,
  measured,
  spread,
)
from rlhf_jax.analysis.operating.scenario import EFFECT, verdicts
from rlhf_jax.analysis.operating.studies import REAL, SCENARIOS
from scripts import make_operating_doc as page

ROOT = pathlib.Path(__file__).parents[2]
FOUND = page.read()
PLACES = [
  (number, where)
  for number, scenario in SCENARIOS.items()
  for where in (*scenario.boundaries, EFFECT)
]
BOUNDARIES = [place for place in PLACES if place[1] != EFFECT]


def test_every_claim_that_is_measured_has_its_studies():
  judged = {spec.id for spec in load().claims if spec.evaluator}
  assert set(SCENARIOS) == judged
  assert set(FOUND) == {str(number) for number in judged}


@pytest.mark.parametrize(('number', 'where'), PLACES)
def test_the_page_has_every_study(number, where):
  """A letter a study, for each number of seeds that the claim admits."""
  letters = FOUND[str(number)][where]
  wanted = load().claim(number).min_seeds
  assert set(letters) == {str(n) for n in page.SEEDS if n >= wanted}
  for found in letters.values():
    assert len(found) >= 60 and set(found) <= set('pfi')


@pytest.mark.parametrize(('number', 'where'), BOUNDARIES)
def test_a_claim_on_its_boundary_passes_in_5_percent_or_less(number, where):
  """As far as the binomial error of so many studies tells."""
  for letters in FOUND[str(number)][where].values():
    assert page.passes(letters).low <= page.RARE


def weak():
  """Claims whose stated effect passes in less than 80 % with 8 seeds."""
  return {
    int(number)
    for number, found in FOUND.items()
    if page.passes(found[EFFECT]['8']).mean < page.ENOUGH
  }


def test_a_claim_that_cannot_reach_80_percent_says_so_in_its_row():
  text = page.generate()
  assert text == (ROOT / 'docs' / 'operating.md').read_text()
  seeds, conversations = text.split(page.REAL_HEADER)
  said = lambda part: {
    int(line.split('|')[1])
    for line in part.splitlines()
    if 'Cannot reach 80 %' in line
  }
  assert said(seeds) == weak()
  assert said(conversations) == {
    int(number)
    for number, found in page.read(page.SOURCE_REAL).items()
    if page.passes(found[EFFECT]).mean < page.ENOUGH
  }


OF_HEADLINE = ('11', '12', '13', '14', '15', '16', '18', '19', '20', '24', '27')
LONG = {17, 34, 35, 66}  # seconds a study


def assert_made_again(number, where, studies):
  """The first studies of a place, verdict by verdict."""
  again = verdicts(SCENARIOS[number], where, 8, range(studies))
  assert [v[0] for v in again] == list(FOUND[str(number)][where]['8'][:studies])


@pytest.mark.parametrize('number', [n for n in SCENARIOS if n not in LONG])
def test_a_study_of_the_page_can_be_made_again(number):
  assert_made_again(number, EFFECT, 1)


def test_studies_with_the_noise_of_headline_can_be_made_again():
  """And the noise is micro's again afterwards."""
  letters = page.read(page.SOURCE_HEADLINE)
  assert set(OF_HEADLINE) <= set(letters)
  micro = dict(NOISE)
  with drawn_with(HEADLINE):
    assert NOISE == HEADLINE
    for number in ('13', '18'):
      again = verdicts(SCENARIOS[int(number)], EFFECT, 8, range(3))
      assert ''.join(v[0] for v in again) == letters[number][:3]
  assert NOISE == micro


@pytest.mark.slow  # two studies of every place of every claim
@pytest.mark.parametrize('number', SCENARIOS)
def test_the_studies_of_the_page_can_be_made_again(number):
  for where in (*SCENARIOS[number].boundaries, EFFECT):
    assert_made_again(number, where, 2)


@pytest.mark.parametrize(
  ('study', 'noise'), [('micro', NOISE), ('headline', HEADLINE)]
)
def test_the_noise_is_that_of_the_committed_runs(study, noise):
  found = measured(runs.read_tables(ROOT / 'results' / study / 'tables'))
  assert set(found) == set(noise)
  for name, value in noise.items():
    assert value == pytest.approx(found[name], rel=0.05, abs=1e-9), name


def test_the_spread_between_seeds_and_between_runs_by_hand():
  """Seed means -1 and 1 once sizes are taken off; runs +-.5 about them."""
  rows = [
    {'seed': seed, 'size': size, 'x': 10 * (size == 'L') + middle + own}
    for seed, middle, signs in ((0, -1.0, (1, -1)), (1, 1.0, (-1, 1)))
    for size, own in zip('SL', 0.5 * np.array(signs), strict=True)
  ]
  frame = pd.DataFrame(rows)
  run = math.sqrt(4 * 0.25)  # one degree of freedom
  seed = math.sqrt(2 - run**2 / 2)
  assert spread(frame, 'x') == pytest.approx((seed, run))


# (claim, boundary): the contrast that lies on its bound there without noise.
ON_BOUND = {
  (1, 'slope'): 'slope',
  (1, 'r2'): 'r2',
  (2, 'slope'): 'slope',
  (3, 'r2'): 'r2_helpful',
  (3, 'difference'): 'z_helpful_minus_mix',
  (7, 'first'): 'first_minus_later',
  (7, 'slope'): 'later_slope',
  (11, 'none'): 'gain_197K',
  (12, 'margin'): 'difference_13K',
  (13, 'bent'): 'bow_units_197K',
  (14, 'bent'): 'p',
  (15, 'bent'): 'bow_units_197K',
  (16, 'spread'): 'cv',
  (16, 'start'): 's0_rise',
  (17, 'bound'): 'excess_197K',
  (17, 'gain'): 'slope_197K',
  (18, 'slope'): 'error_197K',
  (19, 'early'): 'early_gap_per_gain',
  (19, 'late'): 'late_gap',
  (21, 'gap'): 'gap_per_gain_slope',
  (21, 'samples'): 'diverged_at_slope',
  (22, 'level'): 'change_of_slope',
  (23, 'equal'): 'difference_42K',
  (24, 'middle'): 'gold_middle_gain',
  (24, 'flat'): 'gold_flattening',
  (24, 'rise'): 'train_late_rise',
  (24, 'elo'): 'elo_excess',
  (27, 'none'): 'entropy_change_197K',
  (33, 'bent'): 'bow_units',
  (33, 'step'): 'elo_64_minus_16',
  (34, 'gold'): 'gold_197K',
  (34, 'train'): 'train_197K',
  (35, 'form_best_of_n'): 'aic_best_of_n',
  (35, 'form_rl'): 'aic_rl',
  (35, 'slope_best_of_n'): 'beta_slope_best_of_n',
  (35, 'slope_rl'): 'beta_slope_rl',
  (36, 'gain'): 'share_196608',
  (37, 'harmless'): 'harmless_on_helpful',
  (38, 'helpful'): 'helpful_room',
  (38, 'near'): 'helpful_nearness',
  (39, 'level'): 'area_slope',
  (40, 'level'): 'drop_slope',
  (40, 'low'): 'inner_minus_1',
  (40, 'high'): 'inner_minus_10',
  (41, 'level'): 'difference',
  (42, 'helpful'): 'helpful_gold',
  (42, 'harmless'): 'attack_success',
  (66, 'flat'): 'slope',
  (66, 'steep'): 'slope',
  (67, 'small'): 'efficiency_197K_over_13K',
  (52, 'smallest'): 'ranked_3K',
  (52, 'level'): 'slope',
  (52, 'binary'): 'binary_3K',
  (53, 'none'): 'gain_many',
  (53, 'level'): 'gain_few_minus_many',
  (54, 'equal'): 'binary_minus_ranked',
  (58, 'cost'): 'cost',
  (58, 'share'): 'share_ptx',
  (58, 'reward'): 'reward_ptx',
  (58, 'kl_coef'): 'sum_beta_0.2',
  (59, 'zero'): 'middle_minus_zero',
  (59, 'largest'): 'middle_minus_largest',
  (60, 'even'): 'win_rate',
}
# What random labels and replies leave where the other noise is off; of 66, that
# windows of several lengths see several parts of a parabola; of 58, three
# standard errors of shares that vary by .05 in eight seeds.
LEFT = {7: 0.006, 17: 0.03, 66: 0.02, 58: 0.053}


@pytest.mark.slow  # a study of every boundary of every claim
@pytest.mark.parametrize(('number', 'where'), ON_BOUND)
def test_a_boundary_is_where_it_says(number, where, monkeypatch):
  for name in NOISE:
    spreads = ('_seed', '_run', '_step', 'residual', 'penalty')
    if name.endswith(spreads):
      monkeypatch.setitem(NOISE, name, 1e-9)
  monkeypatch.setattr(rl, 'START_ERROR', 0.0)
  rng = np.random.default_rng(0)
  tables = SCENARIOS[number].make(rng, range(8), where)
  found = load().claim(number).evaluator(tables).contrasts
  (contrast,) = [c for c in found if c.name == ON_BOUND[number, where]]
  bounds = np.atleast_1d(contrast.bound)
  off = np.abs(bounds - contrast.interval.mean).min()
  assert off <= LEFT.get(number, 5e-4)


FOUND_REAL = page.read(page.SOURCE_REAL)
REAL_PLACES = [
  (number, where)
  for number, scenario in REAL.items()
  for where in (*scenario.boundaries, EFFECT)
]


def test_every_claim_that_is_judged_over_conversations_has_its_studies():
  judged = {spec.id for spec in load().claims if spec.crossed}
  assert set(REAL) == judged
  assert set(FOUND_REAL) == {str(number) for number in judged}


@pytest.mark.parametrize(('number', 'where'), REAL_PLACES)
def test_a_boundary_over_conversations_passes_in_5_percent_or_less(
  number, where
):
  letters = FOUND_REAL[str(number)][where]
  assert len(letters) >= 60 and set(letters) <= set('pfi')
  if where != EFFECT:
    assert page.passes(letters).low <= page.RARE


@pytest.mark.parametrize(
  ('number', 'where'),
  [
    pytest.param(n, at, marks=() if at == EFFECT else pytest.mark.slow)
    for n, at in REAL_PLACES
  ],
)
def test_a_study_over_conversations_can_be_made_again(number, where):
  again = verdicts(REAL[number], where, 1, range(1))
  assert again[0][0] == FOUND_REAL[str(number)][where][0]


# (claim, boundary): the contrast that is on its bound, and what chance leaves
# in the mean of eight studies (four standard errors).
REAL_ON_BOUND = {
  (1, 'slope'): ('slope', 0.004),
  (7, 'first'): ('first_minus_later', 0.03),
  (7, 'slope'): ('later_slope', 0.03),
  (37, 'harmless'): ('harmless_on_helpful', 0.02),
  (38, 'room'): ('helpful_room', 0.02),
  (38, 'near'): ('helpful_nearness', 0.02),
}


@pytest.mark.slow  # eight studies of many conversations each
@pytest.mark.parametrize(('number', 'where'), REAL_ON_BOUND)
def test_a_boundary_over_conversations_is_where_it_says(number, where):
  name, chance = REAL_ON_BOUND[number, where]
  off = []
  for study in range(8):
    rng = np.random.default_rng(study)
    tables = REAL[number].make(rng, range(1), where)
    found = load().claim(number).crossed.evaluator(tables).contrasts
    (contrast,) = [c for c in found if c.name == name]
    off.append(contrast.interval.mean - np.max(contrast.bound))
  assert abs(np.mean(off)) < chance
