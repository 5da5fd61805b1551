"""Claims on cross-fitted heads, on tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from rlhf_jax.analysis import crossed
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis.crossed_tables import SIZES, scored, tables


def verdict(number, found):
  return judging.judge_claim(load().claim(number), found, {'evidence': 'real'})


def curve(accuracies):
  parts = [
    scored(accuracy).assign(pairs=pairs)
    for pairs, accuracy in zip(SIZES, accuracies, strict=True)
  ]
  return tables(conditional=pd.concat(parts))


def test_a_curve_that_rises_with_ln_pairs_passes_claim_1():
  """.05 a doubling: slope .05 / ln 2 by hand."""
  row = verdict(1, curve([0.55, 0.6, 0.65, 0.7, 0.75]))
  assert row['verdict'] == 'pass'
  assert row['measured']['slope'] == pytest.approx(0.05 / np.log(2), rel=1e-6)
  assert row['measured']['r2'] == pytest.approx(1.0)
  assert row['unit'] == 'conversation' and row['seeds'] == 1


def test_a_flat_curve_is_not_decided_and_a_falling_one_fails():
  assert verdict(1, curve([0.6] * 5))['verdict'] != 'pass'
  assert verdict(1, curve([0.75, 0.7, 0.65, 0.6, 0.55]))['verdict'] == 'fail'


def test_a_curve_of_few_points_is_not_run():
  few = {'cross_pairs': curve([0.6] * 5)['cross_pairs'].query('pairs < 400')}
  with pytest.raises(NotRunError, match='3 points; wanted 5'):
    crossed.data_scaling(few)


def calibrated(t, n=3000):
  """P(the higher one is preferred) = sigmoid(t |difference|)."""
  frame, rng = scored(n=n), np.random.default_rng(5)
  gap = 2 * rng.normal(size=n)
  swap = rng.random(n) > expit(t * gap)
  gap = np.where(swap, -gap, gap)
  return frame.assign(score_chosen=gap / 2, score_rejected=-gap / 2)


def test_calibration_tells_log_odds_from_scores_of_another_scale():
  right = verdict(4, tables(helpful=calibrated(1.0)))
  assert right['verdict'] == 'pass'
  assert right['measured']['t'] == pytest.approx(1.0, abs=0.1)
  off = verdict(4, tables(helpful=calibrated(0.5)))
  assert off['verdict'] == 'fail'
  assert off['measured']['t'] == pytest.approx(0.5, abs=0.05)


def test_accuracy_that_falls_among_good_replies_passes_claim_6():
  """Differences shrink as both scores grow; else all thresholds are alike."""
  frame, rng = scored(n=2000), np.random.default_rng(2)
  level = rng.normal(size=2000)
  right = rng.random(2000) < expit(1.0 - 1.5 * level)
  gap = np.where(right, 0.1, -0.1)
  falling = frame.assign(score_chosen=level + gap, score_rejected=level - gap)
  row = verdict(6, tables(conditional=falling))
  assert row['verdict'] == 'pass' and row['measured']['spearman'] == -1
  assert verdict(6, tables(conditional=scored(n=1000)))['verdict'] != 'pass'


def test_first_turns_that_are_easier_pass_claim_7_only_with_flat_later_ones():
  frame = scored(0.0, n=8000)
  rng = np.random.default_rng(1)

  def of(share):
    right = rng.random(8000) < np.take(share, frame['turn'] - 1)
    sign = np.where(right, 1.0, -1.0)
    return frame.assign(score_chosen=sign, score_rejected=0.0)

  row = verdict(7, tables(conditional=of([0.8, 0.6, 0.6, 0.6])))
  measured = row['measured']
  assert measured['first_minus_later'] == pytest.approx(0.2, abs=0.04)
  assert measured['accuracy_turn1'] == pytest.approx(0.8, abs=0.03)
  steep = verdict(7, tables(conditional=of([0.8, 0.5, 0.6, 0.7])))
  assert steep['verdict'] == 'fail'


def cross(helpful, harmless):
  both = lambda own, other, kinds: pd.concat(
    [scored(own, subset=kinds[0]), scored(other, 1, subset=kinds[1])]
  )
  return tables(
    helpful=both(0.65, helpful, ('helpful', 'harmless')),
    harmless=both(0.68, harmless, ('harmless', 'helpful')),
  )


@pytest.mark.parametrize(
  ('helpful', 'harmless', 'wanted'),
  [(0.36, 0.38, 'pass'), (0.36, 0.5, 'inconclusive'), (0.36, 0.6, 'fail')],
)
def test_single_objectives_have_to_invert_each_other(helpful, harmless, wanted):
  row = verdict(37, cross(helpful, harmless))
  assert row['verdict'] == wanted
  assert row['measured']['helpful_on_harmless'] == pytest.approx(helpful)
  assert row['measured']['harmless_on_harmless'] == pytest.approx(0.68)


def shared(equal, best=0.65, other=0.4):
  """Tables of heads of shares: on helpful pairs `equal`, on others `best`."""
  kinds = {'helpful': '100/0', 'harmless': '0/100'}
  level = {
    (share, kind): best if share == own else other
    for kind, own in kinds.items()
    for share in kinds.values()
  }
  level |= {('50/50', 'helpful'): equal, ('50/50', 'harmless'): best}
  parts = {
    share: pd.concat(
      scored(level[share, kind], subset=kind, n=2000) for kind in kinds
    )
    for share in ('0/100', '50/50', '100/0')
  }
  return tables(**parts) | {'cross_shares': pd.DataFrame()}


@pytest.mark.parametrize(
  ('equal', 'best', 'other', 'wanted'),
  [
    (0.65, 0.65, 0.4, 'pass'),
    (0.5, 0.65, 0.4, 'fail'),  # 95 % of .65 are .62
    (0.6, 0.6, 0.63, 'fail'),  # the other kind's heads do better
    (0.62, 0.65, 0.4, 'inconclusive'),
  ],
)
def test_equal_shares_have_to_serve_both_kinds(equal, best, other, wanted):
  row = verdict(38, shared(equal, best, other))
  assert row['verdict'] == wanted
  assert row['measured']['helpful_at_50'] == pytest.approx(equal)
  assert row['seeds'] == 1 and 'bootstrap over' in row['threshold']


def test_heads_of_shares_are_judged_only_where_their_table_is():
  found = shared(0.65)
  del found['cross_shares']
  row = verdict(38, found)
  assert row['verdict'] == 'not run' and 'pm_curve' in row['note']


def test_a_study_without_the_model_is_not_run():
  row = verdict(37, tables(helpful=scored()))
  assert row['verdict'] == 'not run' and 'cross_pairs.csv' in row['note']


def test_claims_without_such_an_evaluator_are_judged_as_ever():
  assert verdict(5, cross(0.3, 0.3))['verdict'] == 'not run'


def test_the_check_on_length_is_of_studies_with_such_heads_alone():
  names = lambda found: {row['name'] for row in judging.checks(found)}
  assert 'over_length_rules' in names(cross(0.4, 0.4))
  assert 'over_length_rules' not in names({})
  assert 'over_length_rules' not in names(shared(0.65))  # of shares alone
  assert 'length' in names({})
