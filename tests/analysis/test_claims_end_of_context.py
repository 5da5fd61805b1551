"""Claim 8 on tables whose answers are known."""

import pytest

from rlhf_jax.analysis import figures, intervals
from rlhf_jax.analysis.claims import end_of_context
from rlhf_jax.analysis.drawings import end_of_context as drawings
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

PLACES = ('at_end_of_context', 'at_last_token')


def tables(gap, seeds=small.SEEDS, places=PLACES):
  """Curves of two points; at the end the special token is `gap` better."""
  rows = []
  for seed in seeds:
    for size in ('S', 'M'):
      for role in places:
        for pairs in (64, 128):
          better = gap(seed, size) if role == PLACES[0] else 0.0
          row = {'role': role, 'size': size, 'seed': seed, 'pairs': pairs}
          row |= {'train_subset': 'mix', 'schedule': 'constant'}
          level = 0.6 + 0.01 * seed + better * (pairs == 128)
          row |= {'accuracy': 0.1, 'expected_accuracy': level}
          rows += [row | {'eval_subset': x} for x in ('mix', 'helpful')]
  return {'pm_curve': small.table('pm_curve', rows)}


def test_the_difference_is_that_at_the_end_of_training_by_size():
  """Gaps of .00, .01, .02 on S by seed; a level .01 of M in all of them."""
  found = end_of_context.special_token(
    tables(lambda seed, size: 0.01 * seed if size == 'S' else 0.01)
  )
  numbers = small.numbers(found)
  assert numbers['difference_S'] == pytest.approx(0.01)
  assert numbers['special_S'] == pytest.approx(0.62)
  assert numbers['ordinary_S'] == pytest.approx(0.61)
  ends = small.interval([0.0, 0.01, 0.02])
  assert small.ends(found, 'difference_S') == pytest.approx(ends)
  assert small.ends(found, 'difference_M') == pytest.approx([0.01, 0.01])
  assert small.sides(found) == {
    'difference_S': ('>', -0.01),
    'difference_M': ('>', -0.01),
  }


@pytest.mark.parametrize(
  ('gap', 'verdict'), [(0.0, 'pass'), (-0.009, 'pass'), (-0.011, 'fail')]
)
def test_one_point_less_is_the_margin(gap, verdict):
  found = end_of_context.special_token(tables(lambda *_: gap))
  assert intervals.verdict(found.contrasts) == verdict


def test_worse_at_one_size_is_enough_to_fail():
  gap = lambda seed, size: -0.02 if size == 'M' else 0.01
  found = end_of_context.special_token(tables(gap))
  assert intervals.verdict(found.contrasts) == 'fail'


def test_both_readings_are_wanted_of_every_seed():
  with pytest.raises(NotRunError, match='at_last_token missing'):
    end_of_context.special_token(tables(lambda *_: 0, places=PLACES[:1]))
  found = tables(lambda *_: 0)
  frame = found['pm_curve']
  gone = (frame['seed'] == 1) & (frame['role'] == PLACES[1])
  with pytest.raises(NotRunError, match='some seeds missing'):
    end_of_context.special_token({'pm_curve': frame[~gone]})


def test_the_figure_has_a_line_for_each_size_and_place():
  found = tables(lambda *_: 0.01)
  canvas = figures.Canvas(found)
  drawings.accuracy_by_place(canvas, found)
  (axis,) = canvas.figure.axes
  labels = axis.get_legend_handles_labels()[1]
  assert labels == [
    f'{size}, {place}'
    for size in 'SM'
    for place in ('end-of-context token', 'last token of the reply')
  ]
  assert list(axis.lines[0].get_ydata()) == pytest.approx([0.61, 0.62])
