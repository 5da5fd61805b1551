"""Claims 13 to 18 on runs that follow a law exactly."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims import sqrt_kl
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

ROOT_N = np.linspace(0, 4, 41)
SLOPES = {'S': 0.4, 'M': 0.4, 'L': 0.4}
STARTS = {'S': 0.0, 'M': 0.1, 'L': 0.2}


def rows_of(gain, s0=0.0, **more):
  """rl_curve: the train PM is s0 + gain(sqrt(KL)), the test PM 1 + half."""
  return [
    {
      'role': 'linear',
      'samples': i,
      'iteration': i,
      'kl': root**2,
      'kl_se': 0.001,
      'train_pm': s0 + gain(root),
      'test_pm': 1 + gain(root) / 2,
      **more,
    }
    for i, root in enumerate(ROOT_N)
  ]


def pi0_of(s0=0.0, variance=0.5, scorers=('train', 'test'), **more):
  means = {'train': s0, 'test': 1.0}
  return [
    {
      'role': 'linear',
      'scorer': scorer,
      'mean': means[scorer],
      'within_variance': variance,
      **more,
    }
    for scorer in scorers
  ]


def study(gains, starts=STARTS, seeds=small.SEEDS, variance=0.5, **more):
  """A run of each size and seed; gains: size -> function of sqrt(KL)."""
  curve, pi0 = [], []
  for seed in seeds:
    for size, gain in gains.items():
      run = {'size': size, 'seed': seed, **more}
      curve += rows_of(gain, starts[size], **run)
      pi0 += pi0_of(starts[size], variance, **run)
  return {
    'rl_curve': small.table('rl_curve', curve),
    'rl_pi0': small.table('rl_pi0', pi0),
    'frontier': frontier_of(gains, seeds, variance, **more),
  }


def frontier_of(gains, seeds, variance=0.5, ess=1000.0, scorer='train', **more):
  """Gaussian scores: log E exp(b (r - mean)) = b^2 V / 2."""
  rows = [
    {
      'role': 'linear',
      'size': size,
      'seed': seed,
      'scorer': scorer,
      'subset': 'all',
      'b': b,
      'log_mgf': b**2 * variance / 2,
      'ess': ess,
      **more,
    }
    for seed in seeds
    for size in gains
    for b in np.linspace(0.02, 20, 1000)
  ]
  return small.table('frontier', rows)


def line(slope):
  return lambda root: slope * root


def straight(slopes=SLOPES, **more):
  return study({size: line(slope) for size, slope in slopes.items()}, **more)


def test_a_straight_line_has_r2_of_1_and_no_bow_for_each_pm():
  tables = straight({'S': 0.3, 'L': 0.5})
  for evaluator, share in ((sqrt_kl.linear_train, 1), (sqrt_kl.linear_test, 2)):
    found = evaluator(tables)
    numbers = small.numbers(found)
    assert numbers['slope_S'] == pytest.approx(0.3 / share)
    assert numbers['slope_L'] == pytest.approx(0.5 / share)
    assert numbers['r2_S'] == numbers['r2_L'] == pytest.approx(1)
    assert numbers['bow_L'] == pytest.approx(0, abs=1e-9)
    assert numbers['s0_L'] == pytest.approx(0.2 if share == 1 else 1.0)
    assert intervals.verdict(found.contrasts) == 'pass'
    assert small.sides(found)['bow_units_L'] == ('inside', (-1.0, 1.0))


def test_a_parabola_bends_upwards_by_what_its_chord_says():
  """q = x^2 on [.1, 3.5]: (3.4)^2 / 4 over 3.5^2 - .1^2."""
  tables = study({'L': lambda root: root**2})
  found = sqrt_kl.linear_train(tables)
  wanted = 3.4**2 / 4 / (3.5**2 - 0.1**2)
  assert small.numbers(found)['bow_L'] == pytest.approx(wanted)
  assert intervals.verdict(found.contrasts) == 'fail'


@pytest.mark.parametrize(
  ('p', 'verdict'),
  [(0.38, 'fail'), (0.41, 'pass'), (0.59, 'pass'), (0.63, 'fail')],
)
def test_an_exponent_and_a_bow_are_held_to_the_same_margin(p, verdict):
  """Noise-free KL^p: claims 13 and 14 agree, on a window of 1,225x in KL."""
  tables = study({'L': lambda root: 0.4 * root ** (2 * p)})
  for evaluator in (sqrt_kl.linear_train, sqrt_kl.regressor):
    assert intervals.verdict(evaluator(tables).contrasts) == verdict
  units = small.numbers(sqrt_kl.linear_train(tables))['bow_units_L']
  assert units == pytest.approx(10 * (p - 0.5), abs=0.1)


@pytest.mark.parametrize(
  ('power', 'share', 'verdict'), [(1, 1.0, 'pass'), (2, 0.0, 'fail')]
)
def test_the_regressor_and_the_exponent_of_a_law(power, share, verdict):
  """KL^.5 is claimed; the gain of a power 2 of sqrt(KL) is linear in KL."""
  wiggle = lambda root: 1e-3 * math.sin(40 * root)
  tables = study({'L': lambda root: 0.4 * root**power + wiggle(root)})
  found = sqrt_kl.regressor(tables)
  numbers = small.numbers(found)
  assert numbers['share_sqrt'] == share
  assert numbers['p'] == pytest.approx(power / 2, abs=0.005)
  assert numbers['p_L'] == numbers['p']
  assert intervals.verdict(found.contrasts) == verdict
  assert small.sides(found) == {'p': ('inside', (0.4, 0.6))}


def test_the_share_counts_runs_within_a_seed_and_then_seeds():
  curved = lambda root: 0.4 * root**2 + 1e-3 * math.sin(40 * root)
  near = lambda root: 0.4 * root + 1e-3 * math.sin(40 * root)
  found = sqrt_kl.regressor(study({'S': curved, 'L': near}))
  numbers = small.numbers(found)
  assert numbers['share_sqrt'] == 0.5
  # Of three seeds a bootstrap says nothing.
  assert (numbers['share_sqrt_low'], numbers['share_sqrt_high']) == (0, 1)
  assert found.contrasts[0].interval.n == 3


def test_parallel_lines_from_rising_starts():
  found = sqrt_kl.parallel_slopes(straight())
  numbers = small.numbers(found)
  assert numbers['cv'] == pytest.approx(0, abs=1e-9)
  assert numbers['s0_rise'] == pytest.approx(0.2)
  assert small.sides(found) == {'cv': ('<', 0.25), 's0_rise': ('>', 0.0)}
  assert intervals.verdict(found.contrasts) == 'pass'


def test_slopes_that_differ_by_hand():
  slopes = {'S': 0.2, 'M': 0.4, 'L': 0.6}
  falling = {'S': 0.2, 'M': 0.1, 'L': 0.0}
  found = sqrt_kl.parallel_slopes(straight(slopes, starts=falling))
  numbers = small.numbers(found)
  assert numbers['cv'] == pytest.approx(0.2 / 0.4)
  assert numbers['s0_rise'] == pytest.approx(-0.2)
  assert intervals.verdict(found.contrasts) == 'fail'


def test_two_sizes_are_too_few_to_be_parallel():
  with pytest.raises(NotRunError, match='2 sizes; wanted 3'):
    sqrt_kl.parallel_slopes(straight({'S': 0.4, 'L': 0.4}))


def test_the_slope_keeps_between_nothing_and_its_bound():
  """V = .5 gives the bound sqrt(KL), of which a slope of .4 is 40 %."""
  found = sqrt_kl.slope_bound(straight({'L': 0.4}))
  assert small.numbers(found) == pytest.approx(
    {
      'excess_L': -0.6,
      'share_of_bound_L': 0.4,
      'judged_to_L': 3.5,
      'slope_L': 0.4,
      'ratio_L': 0.4,
      'limit_L': 1.0,
    },
    abs=1e-3,  # between two b of the table the bound is a little higher
  )
  assert found.note == ''
  assert intervals.verdict(found.contrasts) == 'pass'
  steep = sqrt_kl.slope_bound(straight({'L': 0.4}, variance=0.045))
  assert small.numbers(steep)['limit_L'] == pytest.approx(0.3)
  assert intervals.verdict(steep.contrasts) == 'fail'
  none = sqrt_kl.slope_bound(straight({'L': -0.1}))
  assert intervals.verdict(none.contrasts) == 'fail'


def test_the_bound_is_judged_only_where_replies_carry_it():
  """Effective samples of 20 or more up to sqrt(KL) = 2, where b is 4 V."""
  tables = straight({'L': 0.4})
  frontier = tables['frontier']
  frontier['ess'] = np.where(frontier['b'] <= 4.01, 20.0, 19.0)
  found = sqrt_kl.slope_bound(tables)
  assert small.numbers(found)['judged_to_L'] == pytest.approx(2.0)
  assert intervals.verdict(found.contrasts) == 'pass'
  frontier['ess'] = np.where(frontier['b'] <= 0.65, 20.0, 19.0)  # 3 points
  found = sqrt_kl.slope_bound(tables)
  assert found.note == 'effective samples too small in 3 of 3 runs'
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def test_a_bound_at_the_end_of_the_table_is_no_bound():
  """All b too small: a lower bound lies beyond them."""
  tables = straight({'L': 0.4})
  tables['frontier'] = tables['frontier'].query('b < 0.1')
  found = sqrt_kl.slope_bound(tables)
  assert math.isnan(small.ends(found, 'excess_L')[0])


def test_only_the_train_pm_of_the_run_bounds_its_gain():
  tables = straight({'L': 0.4})
  odd = frontier_of(['L'], small.SEEDS, 0.01, scorer='test')
  other = frontier_of(['S'], small.SEEDS, 0.01)
  frames = [odd, other, tables['frontier']]
  tables['frontier'] = pd.concat(frames, ignore_index=True)
  found = sqrt_kl.slope_bound(tables)
  assert small.numbers(found)['excess_L'] == pytest.approx(-0.6, abs=1e-3)
  # Of another kind of prompts, or of policies of another half.
  for change in ({'subset': 'helpful'}, {'half': 'b'}):
    tables['frontier'] = pd.concat(
      [odd.assign(scorer='train', **change), other]
    )
    with pytest.raises(NotRunError, match='has no rows'):
      sqrt_kl.slope_bound(tables)
  tables['frontier'] = frames[0]
  with pytest.raises(NotRunError, match='scorer=train'):
    sqrt_kl.slope_bound(tables)
  del tables['frontier']
  with pytest.raises(NotRunError, match='no table frontier.csv'):
    sqrt_kl.slope_bound(tables)


def test_a_small_slope_forecasts_a_larger_policy():
  """Slope .5 for .4: every forecast gain is a quarter too large."""
  found = sqrt_kl.forecast(straight({'S': 0.5, 'M': 0.5, 'L': 0.4}))
  numbers = small.numbers(found)
  assert set(numbers) == {'error_M', 'error_L'}
  assert numbers['error_M'] == pytest.approx(0, abs=1e-9)
  assert numbers['error_L'] == pytest.approx(0.25)
  assert small.sides(found)['error_L'] == ('<', 0.15)
  assert intervals.verdict(found.contrasts) == 'fail'


def test_a_forecast_needs_a_small_policy_of_the_same_train_pm():
  with pytest.raises(NotRunError, match='one policy size'):
    sqrt_kl.forecast(straight({'L': 0.4}))
  tables = straight({'S': 0.4, 'L': 0.4}, seeds=(0,))
  other = tables['rl_curve']['size'] == 'S'
  for table in tables.values():
    table.loc[table['size'] == 'S', 'half'] = 'b'
  assert other.any()
  with pytest.raises(NotRunError, match='shares seed and half'):
    sqrt_kl.forecast(tables)


def test_a_window_that_is_too_short_is_counted_in_the_note():
  tables = straight({'S': 0.4, 'L': 0.4})
  curve = tables['rl_curve']
  short = (curve['size'] == 'S') & (curve['seed'] == 1) & (curve['kl'] > 0.3)
  tables['rl_curve'] = curve[~short]
  found = sqrt_kl.linear_train(tables)
  assert found.note == '1 of 6 windows too short'
  assert math.isnan(small.ends(found, 'bow_units_S')[0])
  assert small.numbers(found)['r2_L'] == pytest.approx(1)
  assert sqrt_kl.linear_train(straight()).note == ''


def test_a_start_that_was_not_measured_is_not_guessed():
  tables = straight({'L': 0.4})
  pi0 = tables['rl_pi0']
  tables['rl_pi0'] = pi0[(pi0['seed'] != 2) | (pi0['scorer'] != 'train')]
  with pytest.raises(NotRunError, match='linear-L-a-2: score of pi_0 not'):
    sqrt_kl.linear_train(tables)
  assert small.numbers(sqrt_kl.linear_test(tables))['s0_L'] == 1.0
