"""What the figures on RL and on scaling show, read off their axes."""

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import figures
from rlhf_jax.analysis.drawings import marks, ppo, robustness, scaling, tension
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small


def axes_of(draw, name, frame, **others):
  tables = {name: frame, **others}
  canvas = figures.Canvas(tables)
  draw(canvas, tables)
  return canvas.figure.axes


def points(axis, label):
  """[(x, y), ...] of the line of this label, to nine digits."""
  (line,) = [line for line in axis.lines if line.get_label() == label]
  return [tuple(point) for point in np.round(line.get_xydata(), 9)]


def robust(**columns):
  """One PM pair, both directions, two checkpoints and pi_0."""
  rows = [
    {'role': 'robust', 'half': half, 'samples': 10 * i, 'iteration': i}
    | {'pm_size': 'M', 'kl': 4.0 * i**2}
    | {name: values[half][i] for name, values in columns.items()}
    for half in 'ab'
    for i in range(3)
  ]
  return small.table('rl_curve', rows[::-1])


TRAIN = {'a': (1.0, 2.0, 4.0), 'b': (5.0, 6.0, 8.0)}
TEST = {'a': (0.0, 1.0, 2.0), 'b': (6.0, 6.0, 6.0)}


def test_the_gap_is_train_less_test_over_both_directions():
  """Half a: 1, 1, 2; half b: -1, 0, 2."""
  frame = robust(train_pm=TRAIN, test_pm=TEST)
  (axis,) = axes_of(robustness.gap_vs_samples, 'rl_curve', frame)
  wanted = [(0, 0), (10, 0.5), (20, 2)]
  assert points(axis, 'train PM M') == wanted
  assert axis.get_ylabel() == 'train PM - test PM (log-odds)'
  with pytest.raises(NotRunError, match='the gap has no rows'):
    one = frame[frame['half'] == 'a']
    axes_of(robustness.gap_vs_samples, 'rl_curve', one)


def test_gains_are_taken_from_pi_0_and_halves_averaged():
  gold = {'a': (0.0, 2.0, 1.0), 'b': (0.0, 4.0, 1.0)}
  frame = robust(train_pm=TRAIN, test_pm=TEST, gold=gold)
  (axis,) = axes_of(robustness.train_test_gold, 'rl_curve', frame)
  assert points(axis, 'train PM') == [(0, 0), (10, 1), (20, 3)]
  assert points(axis, 'test PM') == [(0, 0), (10, 0.5), (20, 1)]
  assert points(axis, 'gold') == [(0, 0), (10, 3), (20, 1)]
  assert axis.get_title() == 'policy L, train PM M'
  (axis,) = axes_of(robustness.overoptimisation, 'rl_curve', frame)
  assert points(axis, 'gold') == [(0, 0), (2, 3), (4, 1)]
  assert len(axis.lines) == 2  # no test PM here


def test_a_panel_is_a_pair_of_policy_and_train_pm():
  frame = robust(train_pm=TRAIN, test_pm=TEST)
  other = frame.assign(pm_size='S', run_id=frame['run_id'] + '-S')
  both = pd.concat([frame, other])
  found = axes_of(robustness.train_test_gold, 'rl_curve', both)
  assert [axis.get_title() for axis in found] == [
    'policy L, train PM M',
    'policy L, train PM S',
  ]


def test_entropy_and_length_are_means_over_seeds_of_the_linear_runs():
  rows = [
    {'role': role, 'seed': seed, 'samples': 5 * i, 'entropy': seed + i + odd}
    | {'length': 10 * (seed + i)}
    for role, odd in (('linear', 0.0), ('robust', 99.0))
    for seed in small.SEEDS
    for i in range(2)
  ]
  frame = small.table('rl_curve', rows)
  entropy, length = axes_of(ppo.entropy_length, 'rl_curve', frame)
  assert points(entropy, 'L') == [(0, 1), (5, 2)]
  assert points(length, 'L') == [(0, 10), (5, 20)]
  assert entropy.get_ylabel() == 'entropy (nats per token)'
  assert length.get_ylabel() == 'reply length (tokens)'


def test_the_estimators_stand_against_the_exact_kl_and_beside_it():
  frame = small.table(
    'rl_curve',
    [{'kl': 1.0, 'kl_k1': 1.5, 'kl_k3': 0.75}, {'kl': 2.0, 'kl_k1': 1.0}],
  )
  agreement, difference = axes_of(ppo.kl_estimators, 'rl_curve', frame)
  assert points(agreement, '$k_1$') == [(1, 1.5), (2, 1)]
  assert points(difference, '$k_1$') == [(1, 0.5), (2, -1)]
  assert points(difference, '$k_3$') == [(1, -0.25), (2, -2)]
  exact = [line for line in agreement.lines if line.get_label() == 'exact']
  assert exact[0].get_slope() == 1


def curve(**more):
  """Accuracy .5 + .1 k at 10^k pairs of the mixture, at two sizes."""
  own = {'train_subset': 'mix', 'eval_subset': 'mix', 'schedule': 'constant'}
  return small.table(
    'pm_curve',
    [
      {'pairs': 10**k, 'expected_accuracy': 0.5 + 0.1 * k + up, 'size': size}
      for size, up in (('S', 0.0), ('L', 0.05))
      for k in (1, 2)
    ],
    **{**own, **more},
  )


def test_accuracy_against_pairs_and_size_reads_the_same_points():
  (axis,) = axes_of(scaling.pm_accuracy_vs_pairs, 'pm_curve', curve())
  assert points(axis, 'S') == [(10, 0.6), (100, 0.7)]
  assert points(axis, 'L') == [(10, 0.65), (100, 0.75)]
  assert axis.get_title() == 'Trained and tested on mix'
  assert axis.get_xscale() == 'log'
  (axis,) = axes_of(scaling.pm_accuracy_vs_size, 'pm_curve', curve())
  assert points(axis, '100 pairs') == [(1e3, 0.7), (16e3, 0.75)]
  ticks = [tick.get_text() for tick in axis.get_xticklabels()]
  assert ticks == ['S', 'L']


@pytest.mark.parametrize(
  'other', [{'eval_subset': 'helpful'}, {'role': 'single'}, {'pairs': 0}]
)
def test_tests_on_other_pairs_are_not_on_the_learning_curve(other):
  both = pd.concat([curve(), curve().assign(expected_accuracy=9.0, **other)])
  for axis in axes_of(scaling.pm_accuracy_vs_pairs, 'pm_curve', both):
    assert max(line.get_ydata().max() for line in axis.lines) < 1


def test_each_kind_of_pair_has_a_panel_and_its_own_baselines():
  both = pd.concat(
    [curve(), curve(train_subset='helpful', eval_subset='helpful')]
  )
  pairs = small.table(
    'pm_pairs',
    [
      {'train_subset': 'mix', 'words_chosen': 2, 'p_label': 0.8},
      {'train_subset': 'mix', 'words_rejected': 2, 'p_label': 0.9},
    ],
  )
  helpful, mix = axes_of(
    scaling.pm_accuracy_vs_pairs, 'pm_curve', both, pm_pairs=pairs
  )
  assert helpful.get_title() == 'Trained and tested on helpful'
  assert not [a for a in helpful.lines if a.get_label() == 'ceiling']
  (_, height), _ = points(mix, 'ceiling')
  assert height == pytest.approx(0.85)
  (_, height), _ = points(mix, 'longer wins')
  # Expected labels: the longer reply is right with .8, and with 1 - .9.
  assert height == pytest.approx((0.8 + 0.1) / 2)


def test_bars_are_means_over_seeds_with_their_interval():
  rows = [
    {'role': 'single', 'seed': seed, 'pairs': pairs, 'run_id': str(seed)}
    | {'train_subset': 'helpful', 'eval_subset': subset}
    | {'expected_accuracy': value + seed / 10 + (0.3 if pairs < 9 else 0)}
    for seed in small.SEEDS
    for pairs in (5, 10)
    for subset, value in (('helpful', 0.6), ('harmless', 0.2), ('mix', 0.0))
  ]
  frame = small.table('pm_curve', rows)
  (axis,) = axes_of(tension.helpful_harmless, 'pm_curve', frame)
  heights = [bar.get_height() for bar in axis.patches]
  assert heights == pytest.approx([0.3, 0.7])  # harmless, helpful
  low, high = small.interval([0.2, 0.3, 0.4])
  (error,) = axis.collections[:1]
  y_N = error.get_segments()[0][:, 1]
  np.testing.assert_allclose(y_N, [low, high])


def test_checkpoints_are_ordered_and_a_negative_kl_has_the_root_0():
  rows = [{'samples': s, 'kl': kl} for s, kl in ((20, 9.0), (0, -1.0))]
  frame = small.table('rl_curve', rows, role='linear')
  found = marks.rl_rows({'rl_curve': frame}, 'linear')
  assert list(found['root']) == [0, 3]
