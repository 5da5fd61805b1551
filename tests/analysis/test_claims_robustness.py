"""Claims 19, 20 and 24 on long runs whose gap is written down."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims import robustness
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

SAMPLES = np.arange(0, 101, 5)


def study(gap, seeds=small.SEEDS, halves='ab', gold=None, **columns):
  """Robust runs: gap(samples, seed) is train - test; half a scores .5 more.

  The train PM gains samples / 50; gold is a function of samples.
  """
  gold = gold or (lambda s: 0.0)
  curve, pi0 = [], []
  for seed in seeds:
    for half in halves:
      shift = 0.5 if half == 'a' else -0.5
      run = {'role': 'robust', 'seed': seed, 'half': half}
      for s in SAMPLES:
        train = s / 50
        test = train - gap(s, seed) - shift
        row = {'samples': s, 'train_pm': train, 'test_pm': test}
        row |= {'gold': gold(s), 'kl': s, **columns}
        curve.append(run | row)
      pi0.append(run | {'scorer': 'train', 'mean': 0.0})
  return {
    'rl_curve': small.table('rl_curve', curve),
    'rl_pi0': small.table('rl_pi0', pi0),
  }


def test_early_and_late_gap_by_hand():
  """Early: samples 10 to 20. Late: 75 to 100, mean 87.5, gain 1.75."""
  found = robustness.train_test_gap(study(lambda s, k: s / 100 + (k - 1) / 10))
  numbers = small.numbers(found)
  assert numbers['late_gap'] == pytest.approx(0.875)
  wanted = small.interval([0.775, 0.875, 0.975])
  assert small.ends(found, 'late_gap') == pytest.approx(wanted)
  assert numbers['early_gap'] == pytest.approx(0.15)
  assert numbers['late_gain'] == pytest.approx(1.75)
  early = small.ends(found, 'early_gap_per_gain')
  wanted = small.interval([0.05 / 1.75, 0.15 / 1.75, 0.25 / 1.75])
  assert early == pytest.approx(wanted)
  assert numbers['late_gap_per_gain'] == pytest.approx(0.875 / 1.75)
  assert small.sides(found) == {
    'early_gap_per_gain': ('inside', (-0.05, 0.05)),
    'late_gap': ('>', 0.0),
  }
  # Too noisy to be equal, where it passed by its noise before.
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def test_pms_that_part_late_pass_claim_19():
  gap = lambda s, k: max(s - 20, 0) / 100 + (k - 1) / 100
  found = robustness.train_test_gap(study(gap))
  assert intervals.verdict(found.contrasts) == 'pass'


def test_agreement_in_the_warm_up_alone_is_none():
  """No gap up to 5 % of samples, a tenth of the gain from there on."""
  gap = lambda s, k: 0.2 * (s > 5) + (k - 1) / 100
  found = robustness.train_test_gap(study(gap))
  assert intervals.verdict(found.contrasts) == 'fail'


def test_without_a_gain_there_is_no_share_of_it_in_claim_19():
  tables = study(lambda s, k: 0.1)
  tables['rl_curve']['train_pm'] *= -1
  found = robustness.train_test_gap(tables)
  assert math.isnan(small.ends(found, 'early_gap_per_gain')[0])


def test_pms_that_part_at_once_fail_claim_19():
  found = robustness.train_test_gap(study(lambda s, k: 1 + k / 100))
  assert intervals.verdict(found.contrasts) == 'fail'


def test_one_direction_is_not_enough_for_any_gap():
  tables = study(lambda s, k: s / 100, halves='a')
  for evaluator in (robustness.train_test_gap, robustness.gap_growth):
    with pytest.raises(NotRunError, match='both directions'):
      evaluator(tables)


SIX = tuple(range(6))


def test_a_gap_grows_from_the_end_of_the_early_window():
  """From 20 samples on the gap of every pair only rises; before, it falls."""
  gap = lambda s, k: s / 100 if s > 20 else 5 - s / 100
  found = robustness.gap_growth(study(gap, SIX))
  assert small.numbers(found) == {'share_ranked': 1.0, 'spearman': 1.0}
  assert small.sides(found) == {'share_ranked': ('>', 0.5)}
  assert small.ends(found, 'share_ranked')[0] == pytest.approx(0.025 ** (1 / 6))
  assert intervals.verdict(found.contrasts) == 'pass'


def test_one_pair_of_six_that_does_not_grow_leaves_claim_20_open():
  gap = lambda s, k: s / 100 if k else -s / 100
  found = robustness.gap_growth(study(gap, SIX))
  assert small.numbers(found)['share_ranked'] == pytest.approx(5 / 6)
  assert intervals.verdict(found.contrasts) == 'inconclusive'
  five = robustness.gap_growth(study(lambda s, k: s / 100, SIX[:5]))
  assert intervals.verdict(five.contrasts) == 'inconclusive'


def test_a_gap_that_shrinks_fails_claim_20():
  gap = lambda s, k: 2 - s / 100 + (k - 1) / 100
  found = robustness.gap_growth(study(gap, SIX))
  assert small.numbers(found)['spearman'] == pytest.approx(-1)
  assert intervals.verdict(found.contrasts) == 'fail'


def test_a_constant_gap_decides_nothing():
  tables = study(lambda s, k: (k - 1) / 10)
  tables['rl_curve']['train_pm'] = 0.0
  tables['rl_curve']['test_pm'] = 0.0
  found = robustness.gap_growth(tables)
  assert math.isnan(small.ends(found, 'share_ranked')[0])
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def turning(s):
  """4 u (1 - u): up to 1 in the middle and down again; u = samples / 100."""
  return 4 * s / 100 * (1 - s / 100)


def test_gold_turns_by_hand():
  tables = study(lambda s, k: 0, gold=turning, win_rate=0.6, pm_win_rate=0.75)
  found = robustness.gold_turns(tables)
  numbers = small.numbers(found)
  # Slopes over the quarters 0 to 25 and 75 to 100 are 3 and -3 a unit of u.
  assert numbers['gold_flattening'] == pytest.approx(-3 - 3 / 4)
  # u = .4 to .6 in steps of .05: 1 - 4 (u - .5)^2 averages 1 - .02.
  assert numbers['gold_middle_gain'] == pytest.approx(0.98)
  assert numbers['train_late_rise'] == pytest.approx(0.5)  # 2 u over .25
  unit = 400 / math.log(10)
  gold = 400 * math.log10(0.6 / 0.4)
  assert numbers['naive_elo'] == pytest.approx(2 * unit)
  assert numbers['elo_excess'] == pytest.approx(2 * unit - gold)
  assert numbers['pm_elo'] == pytest.approx(400 * math.log10(3))
  assert numbers['pm_elo_excess'] == pytest.approx(400 * math.log10(2))
  assert numbers['gold_peak_gain'] == pytest.approx(1)
  assert numbers['gold_final_gain'] == pytest.approx(0)
  assert numbers['sqrt_kl_at_peak'] == pytest.approx(math.sqrt(50))
  assert small.sides(found) == {
    'gold_middle_gain': ('>', 0.0),
    'gold_flattening': ('<', 0.0),
    'train_late_rise': ('>', 0.0),
    'elo_excess': ('>', 0.0),
  }
  assert intervals.verdict(found.contrasts) == 'pass'


def test_gold_that_keeps_rising_fails_claim_24():
  tables = study(lambda s, k: 0, gold=lambda s: s, win_rate=0.9)
  tables['rl_curve']['pm_win_rate'] = 0.9
  found = robustness.gold_turns(tables)
  assert small.numbers(found)['gold_flattening'] == pytest.approx(75)
  assert intervals.verdict(found.contrasts) == 'fail'


def test_the_directions_of_a_pair_are_one_seed():
  tables = study(lambda s, k: 0, gold=turning, win_rate=0.6, pm_win_rate=0.6)
  curve = tables['rl_curve']
  curve.loc[curve['half'] == 'b', 'gold'] *= 3
  found = robustness.gold_turns(tables)
  assert small.numbers(found)['gold_peak_gain'] == pytest.approx(2)
  assert [c.interval.n for c in found.contrasts] == [3] * 4


@pytest.mark.parametrize('column', ['gold', 'win_rate'])
def test_without_gold_claim_24_is_not_run(column):
  tables = study(lambda s, k: 0, win_rate=0.6, pm_win_rate=0.6)
  tables['rl_curve'][column] = math.nan
  with pytest.raises(NotRunError, match=f'{column} is empty: real data have'):
    robustness.gold_turns(tables)
