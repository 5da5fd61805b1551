"""The panels of real pairs: own kind alone, points and floors by hand."""

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import crossed, figures, shares
from rlhf_jax.analysis.drawings.real_mixtures import real_shares
from rlhf_jax.analysis.drawings.real_pairs import (
  accuracy_by_turn,
  real_accuracy_vs_pairs,
)
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis.crossed_tables import scored, tables


def axes():
  """Heads of helpful pairs; scored on harmless ones too, all of them wrong."""
  sizes = {50: 0.55, 999: 0.65}
  parts = [scored(a).assign(pairs=n) for n, a in sizes.items()]
  helpful = pd.concat([*parts, scored(0.0, 1, subset='harmless')])
  mix = pd.concat([scored(0.6), scored(0.7, 1, subset='harmless')])
  found = tables(helpful=helpful, mix=mix)
  canvas = figures.Canvas(found)
  real_accuracy_vs_pairs(canvas, found)
  return canvas.figure.axes, found['cross_pairs']


def test_a_panel_shows_the_kind_that_its_heads_were_fitted_on():
  (helpful, mix), _ = axes()
  assert helpful.get_title() == 'helpful: tested on helpful'
  assert mix.get_title() == 'mix: tested on both'
  (line, *_), *_ = helpful.containers
  assert line.get_xdata() == pytest.approx([50, 999])
  assert line.get_ydata() == pytest.approx([0.55, 0.65])
  (line, *_), *_ = mix.containers
  assert line.get_ydata() == pytest.approx([0.65])


def test_bars_are_intervals_over_conversations_about_the_points():
  """Two pairs a conversation: about 1.96 sd / sqrt(400)."""
  (helpful, _), _ = axes()
  _, _, (bars,) = helpful.containers[0]
  low, high = bars.get_segments()[1][:, 1]
  half = 1.96 * (0.65 * 0.35 / 400) ** 0.5
  assert low == pytest.approx(0.65 - half, abs=0.2 * half)
  assert high == pytest.approx(0.65 + half, abs=0.2 * half)


def test_the_floor_is_the_better_length_rule():
  (helpful, _), rows = axes()
  own = rows[(rows['model'] == 'helpful') & (rows['pairs'] == 999)]
  own = own[own['subset'] == 'helpful']
  gap = own['words_chosen'] - own['words_rejected']
  longer = (gap > 0).mean() + (gap == 0).mean() / 2
  (line,) = [x for x in helpful.lines if x.get_label() == 'length rule']
  assert line.get_ydata()[0] == pytest.approx(max(longer, 1 - longer))


def test_a_point_an_exchange_is_the_number_of_the_claim():
  """Of the conditional head; an exchange of few pairs is left out."""
  found = tables(conditional=scored(0.6))
  rows = found['cross_pairs']
  rows['turn'] = 1 + np.arange(len(rows)) // 2 % 3
  rows.loc[rows.index[-8:], 'turn'] = 9
  canvas = figures.Canvas(found)
  accuracy_by_turn(canvas, found)
  (axis,) = canvas.figure.axes
  (line, *_), *_ = axis.containers
  measured = crossed.turn_accuracy(found).measured
  assert list(line.get_xdata()) == [1, 2, 3]
  assert line.get_ydata() == pytest.approx(
    [measured[f'accuracy_turn{turn}'] for turn in (1, 2, 3)]
  )
  with pytest.raises(NotRunError, match='the first and of two later'):
    accuracy_by_turn(canvas, tables(conditional=scored(0.6).assign(turn=1)))


def test_shares_have_a_figure_of_their_own():
  """A line a kind and their mean, at the shares; no panel of real_accuracy."""
  kinds = ('helpful', 'harmless')
  level = {'0/100': (0.4, 0.7), '50/50': (0.6, 0.6), '100/0': (0.7, 0.3)}
  parts = {
    name: pd.concat(
      scored(a, i, subset=k)
      for i, (a, k) in enumerate(zip(own, kinds, strict=True))
    )
    for name, own in level.items()
  }
  found = tables(**parts)
  with pytest.raises(NotRunError, match='shares alone'):
    real_accuracy_vs_pairs(figures.Canvas(found), found)
  rows = pd.DataFrame(shares.rows(found['cross_pairs']))
  found['cross_shares'] = rows.assign(size='135M', n_params=106)
  canvas = figures.Canvas(found)
  real_shares(canvas, found)
  (axis,) = canvas.figure.axes
  for bars, wanted in zip(
    axis.containers,
    [*zip(*level.values(), strict=True), (0.55, 0.6, 0.5)],
    strict=True,
  ):
    line, _, (segments,) = bars
    assert list(line.get_xdata()) == [0, 0.5, 1]
    assert line.get_ydata() == pytest.approx(wanted)
    low, high = segments.get_segments()[1][:, 1]
    assert low < wanted[1] < high
