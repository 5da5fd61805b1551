"""Algorithms at equal KL, on curves whose numbers are worked out by hand."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import equal_kl, figures
from rlhf_jax.analysis.claims import baselines
from rlhf_jax.analysis.drawings import baselines as drawings
from rlhf_jax.analysis.findings import NotHereError, NotRunError
from tests.analysis import small

# Gain for each unit of sqrt(KL), by role; gold has half of it.
SLOPES = {'by_ppo': 1.0, 'by_rloo': 1.5, 'by_grpo': 0.5, 'by_dpo': 0.8}
ROOTS = (0.0, 1.0, 2.0)


def curve(slopes=SLOPES, reach=1.0, spread=0.1):
  """Straight runs from 3; seed s has `spread` s more of a slope, but PPO."""
  rows = []
  for role, slope in slopes.items():
    for seed in small.SEEDS:
      own = slope + (spread * seed if role != 'by_ppo' else 0.0)
      for i, root in enumerate(ROOTS):
        gain = own * root * reach
        rows.append(
          {
            'role': role,
            'seed': seed,
            'iteration': i,
            'samples': i,
            'kl': (root * reach) ** 2,
          }
          | {'train_pm': 3 + gain, 'test_pm': 3 + gain, 'gold': gain / 2}
        )
  return small.table('rl_curve', rows[::-1], size='S')


def test_a_gain_is_read_between_checkpoints_and_never_beyond_the_last():
  run = curve({'by_ppo': 1.0}).query('seed == 0')
  found_N = equal_kl.gain_at(run, 'train_pm', [0.0, 0.5, 2.0, 2.1])
  assert found_N[:3] == pytest.approx([0.0, 0.5, 2.0])
  assert math.isnan(found_N[3])


def test_a_checkpoint_that_went_back_is_left_out():
  """KL 1, .25 and 4: the gain at .5 lies between 0 and that at 1."""
  rows = [
    {'role': 'by_ppo', 'iteration': i, 'kl': kl, 'gold': gold}
    for i, (kl, gold) in enumerate([(0, 0), (1, 1), (0.25, 9), (4, 2)])
  ]
  run = small.table('rl_curve', rows)
  assert equal_kl.gain_at(run, 'gold', [0.5, 1.5]).tolist() == [0.5, 1.5]


def test_all_runs_are_read_where_the_shortest_one_has_been():
  frame = curve()
  frame.loc[frame['role'] == 'by_dpo', 'kl'] /= 4  # it ends at 1
  assert equal_kl.common_roots(frame).tolist() == [0.25, 0.5, 0.75, 1.0]


def test_differences_are_paired_by_seed():
  """RLOO is .5, .6 and .7 steeper than PPO; at 2 that is 1 to 1.4."""
  found = equal_kl.gains(curve())
  rows = equal_kl.less_than(found, 'by_rloo', 'by_ppo')
  last = rows[(rows['scorer'] == 'train') & (rows['root'] == 2)].iloc[0]
  assert last['mean'] == pytest.approx(1.2)
  ends = small.interval([1.0, 1.2, 1.4])
  assert [last['low'], last['high']] == pytest.approx(ends)
  assert last['seeds'] == 3
  one = found[(found['role'] == 'by_ppo') | (found['seed'] == 1)]
  two = one[(one['role'] != 'by_ppo') | (one['seed'] == 2)]
  with pytest.raises(NotRunError, match='no seed has a gain of by_rloo and'):
    equal_kl.less_than(two, 'by_rloo', 'by_ppo')


def test_the_check_says_what_each_gains_and_gives_no_verdict():
  found = baselines.algorithms_at_equal_kl({'rl_curve': curve()})
  numbers = found['measured']
  assert found['verdict'] == 'reported' and found['seeds'] == 3
  assert numbers['sqrt_kl'] == 2
  assert numbers['train_by_ppo'] == pytest.approx(2.0)
  assert numbers['gold_by_rloo_less_ppo'] == pytest.approx(0.6)
  assert numbers['gold_by_dpo_less_ppo_low'] == pytest.approx(
    small.interval([-0.2, -0.1, 0.0])[0]
  )
  other = curve({'linear': 1.0})
  for tables in ({}, {'rl_curve': other}):
    with pytest.raises(NotHereError, match='no policies of several'):
      baselines.algorithms_at_equal_kl(tables)


def axes_of(tables):
  canvas = figures.Canvas(tables)
  drawings.algorithms(canvas, tables)
  return canvas.figure.axes


def test_the_figure_has_every_algorithm_in_every_score():
  """And best of n by the train PM, and the frontier, where they are there."""
  best = [
    {'role': 'linear', 'subset': 'all', 'scorer': scorer, 'chooser': 'train'}
    | {'n': 2, 'kl': 0.25, 'gain': 0.4}
    for scorer in ('train', 'test', 'gold')
  ]
  edge = [
    {'role': 'linear', 'subset': 'all', 'scorer': scorer, 'b': b}
    | {'kl': b**2, 'gain': 2 * b}
    for scorer in ('train', 'test', 'gold')
    for b in (0.5, 1.0)
  ]
  tables = {
    'rl_curve': curve(),
    'best_of_n': small.table('best_of_n', best, size='S'),
    'frontier': small.table('frontier', edge, size='S'),
  }
  *panels, less = axes_of(tables)
  assert [axis.get_title() for axis in panels] == [
    'train PM',
    'test PM',
    'gold',
  ]
  names = {'PPO', 'RLOO', 'GRPO', 'DPO', 'best of n = 2, 4, 8, ...'}
  for axis, half in zip(panels, (1, 1, 2), strict=True):
    lines = {line.get_label(): line.get_xydata() for line in axis.lines}
    assert names | {'the most $\\pi_0$ allows'} <= set(lines)
    np.testing.assert_allclose(lines['PPO'][-1], [2, 2 / half])
    np.testing.assert_allclose(lines['RLOO'][-1], [2, 3.2 / half])
    np.testing.assert_allclose(
      lines['the most $\\pi_0$ allows'], [[0, 0], [0.5, 1], [1, 2]]
    )
  assert less.get_ylabel() == 'gold (log-odds)'
  assert len(less.containers) == 3  # three algorithms less PPO
  assert len(axes_of({'rl_curve': curve()})) == 4  # without the other two


def test_of_real_pairs_gold_is_left_out():
  frame = curve().assign(gold=np.nan)
  *panels, less = axes_of({'rl_curve': frame})
  assert [axis.get_title() for axis in panels] == ['train PM', 'test PM']
  assert less.get_ylabel() == 'test PM (log-odds)'
