"""Claims 21 to 23 and 26 on runs that are written down."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import pm_sizes
from rlhf_jax.analysis.claims import scans
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small


def long_runs(gaps, gains=None):
  """Runs under PMs of each size; gaps: size -> gap at the end, per gain.

  The gain rises by a tenth a checkpoint, to 1 or to what `gains` says; the gap
  sets in at half of the run.
  """
  curve, pms = [], []
  for size, gap in gaps.items():
    pms.append({'size': size})
    top = (gains or {}).get(size, 1.0)
    for seed in small.SEEDS:
      for half in 'ab':
        role = 'robust' if size == 'L' else f'under_{size}'
        run = {'role': role, 'size': 'S', 'half': half, 'seed': seed}
        for i in range(11):
          gain, parted = top * i / 10, gap * top * max(i - 5, 0) / 5
          row = {'samples': i, 'train_pm': gain, 'test_pm': gain - parted}
          curve.append(run | row | {'pm_size': size})
  return {
    'rl_curve': small.table('rl_curve', curve),
    'pm_curve': small.table('pm_curve', pms),
  }


def test_gaps_are_compared_at_the_gain_that_all_sizes_reach():
  """Of a run that gains twice as much, half way is where nothing has parted."""
  found = scans.large_pms_last(long_runs({'S': 0.6, 'M': 0.4, 'L': 0.2}))
  numbers = small.numbers(found)
  slope = -0.2 / math.log(4)
  assert numbers['gap_per_gain_slope'] == pytest.approx(slope)
  assert numbers['gap_per_gain_S'] == pytest.approx(0.6)
  # A tenth of the gain: .6 (i - 5) / 5 > .1 i / 10 from 6 on, .2 .. from 7.
  assert numbers['diverged_at_S'] == pytest.approx(0.6)
  assert numbers['diverged_at_L'] == pytest.approx(0.7)
  assert small.sides(found) == {
    'gap_per_gain_slope': ('<', 0.0),
    'diverged_at_slope': ('>', 0.0),
  }
  twice = long_runs({'S': 0.6, 'M': 0.6, 'L': 0.6}, {'M': 2.0})
  numbers = small.numbers(scans.large_pms_last(twice))
  assert numbers['gap_per_gain_M'] == pytest.approx(0, abs=1e-9)
  with pytest.raises(NotRunError, match='2 sizes; wanted 3'):
    scans.large_pms_last(long_runs({'M': 0.4, 'L': 0.2}))
  tables = long_runs({'S': 0.6, 'M': 0.4, 'L': 0.2})
  tables['rl_curve'] = tables['rl_curve'].query("half == 'a'")
  with pytest.raises(NotRunError, match='no PM pair was run in both'):
    scans.large_pms_last(tables)


def scored(role, mean, sizes=('S', 'M', 'L'), pms=('S', 'M', 'L')):
  """Rows of scored; mean: (ln policy size, ln PM size) -> score."""
  return [
    {'role': role, 'size': size, 'seed': seed, 'subset': 'all'}
    | {'pm_params': small.PARAMS[pm]}
    | {'mean': mean(math.log(small.PARAMS[size]), math.log(small.PARAMS[pm]))}
    for seed in small.SEEDS
    for size in sizes
    for pm in pms
  ]


def test_slopes_on_policy_size_change_with_the_size_of_the_test_pm():
  rows = scored('judged_shared', lambda policy, pm: (0.1 + 0.02 * pm) * policy)
  gold = [row | {'pm_params': 0, 'mean': 99.0} for row in rows]
  found = scans.large_tests_discriminate(
    {'scored': small.table('scored', rows + gold)}
  )
  numbers = small.numbers(found)
  assert numbers['change_of_slope'] == pytest.approx(0.02)
  assert numbers['slope_1000'] == pytest.approx(0.1 + 0.02 * math.log(1000))
  few = scored('judged_shared', lambda policy, pm: 0.0, pms=('S', 'L'))
  with pytest.raises(NotRunError, match='test PMs of 2 sizes; wanted 3'):
    scans.large_tests_discriminate({'scored': small.table('scored', few)})


def test_policies_under_small_pms_are_rated_by_the_largest():
  rows = scored('judged_shared', lambda policy, pm: pm)
  rows += scored('judged_own', lambda policy, pm: pm - 0.1 * policy, 'SM')
  found = scans.small_pms_make_poor_policies(
    {'scored': small.table('scored', rows)}
  )
  numbers = small.numbers(found)
  assert set(numbers) == {'difference_S', 'difference_M'}
  assert numbers['difference_S'] == pytest.approx(-0.1 * math.log(1000))
  assert set(small.sides(found).values()) == {('<', 0.0)}


def test_variances_of_final_gains_and_crashes_by_passes():
  gains = {
    'passes_1': [1.0, -1.0, 3.0],
    'linear': [1.0, 2.0, 2.5],
    'passes_4': [1.5, 1.6, 1.8],
  }
  rows = [
    {'role': role, 'seed': seed, 'samples': i, 'train_pm': 5.0 + i * gain}
    for role, own in gains.items()
    for seed, gain in enumerate(own)
    for i in range(2)
  ]
  # Of a larger policy, which counts for nothing.
  rows += [row | {'size': 'XL', 'n_params': 10**6} for row in rows[-6:-4]]
  found = scans.passes({'rl_curve': small.table('rl_curve', rows)})
  numbers = small.numbers(found)
  wanted = pm_sizes.jackknife_log_ratio(gains['passes_4'], gains['passes_1'])
  name = 'log_variance_ratio_4_over_1'
  assert numbers[name] == pytest.approx(wanted.mean())
  assert numbers['crash_rate_1'] == pytest.approx(1 / 3)
  assert numbers['crash_rate_4'] == 0
  assert numbers['sd_2'] == pytest.approx(np.std(gains['linear'], ddof=1))
  assert small.sides(found) == {name: ('<', 0.0)}
