"""Blind spots of two PMs, and runs under ensembles, by hand."""

import pytest

from rlhf_jax.analysis import blind_spots, figures
from rlhf_jax.analysis.claims import ensembles
from rlhf_jax.analysis.drawings import ensembles as drawings
from rlhf_jax.analysis.findings import NotHereError, NotRunError
from tests.analysis import small

ROLES = ('robust', 'ensemble_mean', 'ensemble_min')


def curve(gold, test_pm, error=0.1, roles=ROLES, half='a'):
  """Three checkpoints a run; `gold` and `test_pm` are gains by role."""
  rows = [
    {'role': role, 'seed': seed, 'half': half, 'iteration': i, 'samples': i}
    | {'kl': float(i * i), 'gold': 1 + gold[role][i]}
    | {'test_pm': 2 + test_pm[role][i]}
    | {'gold_se': error, 'test_pm_se': error}
    for role in roles
    for seed in small.SEEDS
    for i in range(3)
  ]
  return small.table('rl_curve', rows[::-1], size='S')


UP = dict.fromkeys(ROLES, (0.0, 1.0, 2.0))
DOWN = {
  'robust': (0.0, 1.0, 0.5),  # falls by .5
  'ensemble_mean': (0.0, 1.0, 0.9),  # by less than 2 sqrt(.02) = .28
  'ensemble_min': (0.0, 1.0, 1.5),
}


def test_a_blind_spot_is_gold_that_falls_while_the_test_pm_rises():
  frame = curve(DOWN, UP)
  for role, blind in zip(ROLES, (1, 0, 0), strict=True):
    run = frame[(frame['role'] == role) & (frame['seed'] == 0)]
    assert blind_spots.after_the_best(run)['blind'] == blind
  found = blind_spots.after_the_best(
    frame[(frame['role'] == 'robust') & (frame['seed'] == 0)]
  )
  assert found['gold_change'] == pytest.approx(-0.5)
  assert found['test_change'] == pytest.approx(1.0)


def test_gold_that_falls_with_the_test_pm_is_no_blind_spot():
  """The test PM has seen it."""
  frame = curve(DOWN, DOWN).query("role == 'robust' and seed == 1")
  assert blind_spots.after_the_best(frame)['blind'] == 0


def test_the_check_counts_them_by_the_reward():
  measured = ensembles.blind_spots({'rl_curve': curve(DOWN, UP)})['measured']
  assert measured['single_PM_runs'] == 3
  assert measured['single_PM_blind'] == 3
  assert measured['mean_blind'] == measured['worst_case_blind'] == 0
  assert measured['single_PM_gold_best'] == pytest.approx(1.0)
  assert measured['single_PM_gold_last'] == pytest.approx(0.5)
  alone = curve(DOWN, UP, roles=('robust',))
  for tables in ({}, {'rl_curve': alone}):
    with pytest.raises(NotHereError, match='no policies under ensembles'):
      ensembles.blind_spots(tables)


def test_the_figure_shows_the_single_pm_of_the_same_half_beside_them():
  tables = {'rl_curve': curve(DOWN, UP)}
  canvas = figures.Canvas(tables)
  drawings.gold_under_ensembles(canvas, tables)
  gold, test = canvas.figure.axes
  assert [gold.get_title(), test.get_title()] == ['gold', 'test PM']
  lines = {x.get_label(): x.get_xydata().tolist() for x in gold.lines}
  assert lines['single PM'] == [[0, 0], [1, 1], [2, 0.5]]
  assert lines['worst case'] == [[0, 0], [1, 1], [2, 1.5]]
  for frame in (
    curve(DOWN, UP, half='b'),
    curve(DOWN, UP, roles=('robust',)),
  ):
    with pytest.raises(NotRunError):
      other = {'rl_curve': frame}
      drawings.gold_under_ensembles(figures.Canvas(other), other)
