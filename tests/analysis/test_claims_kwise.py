"""Claims 56 and 57 on losses that are known."""

import numpy as np
import pytest

from rlhf_jax.analysis import figures, intervals
from rlhf_jax.analysis.claims import kwise
from rlhf_jax.analysis.drawings import kwise as drawings
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.operating import kwise as operating
from tests.analysis import small

RUNS = [(loss, n) for loss in ('kwise', 'shuffled') for n in (1, 2)]


def tables(extra, runs=RUNS):
  """Curves of two points; ends are .6 and what `extra` adds.

  Args:
    extra: (seed, loss, epochs) -> nats on held-out rankings.
    runs: (loss, epochs) of the models.
  """
  rows = []
  for seed in small.SEEDS:
    for loss, epochs in runs:
      run = {'role': f'ranked_{loss}_{epochs}', 'seed': seed}
      run |= {'loss': loss, 'epochs': epochs}
      for pairs in (50, 100 * epochs + seed):
        end = pairs > 50
        found = 0.6 + extra(seed, loss, epochs) if end else 0.69
        for split, off in (('test', 0.0), ('train', -0.1)):
          row = {'split': split, 'pairs': pairs, 'accuracy': 0.7}
          rows.append(run | row | {'log_loss': found + off})
  return {'ranking_curve': small.table('ranking_curve', rows)}


def behind(seed, loss, epochs):
  """Shuffled pairs .01, .02, .03 behind by seed, twice that after two epochs.

  The second epoch costs .005 of itself.
  """
  later = 0.005 * (epochs - 1)
  return later + (0.01 * (seed + 1) * epochs if loss == 'shuffled' else 0.0)


def test_twins_are_compared_at_the_end_of_equal_epochs():
  found = kwise.together(tables(behind))
  numbers = small.numbers(found)
  assert numbers['kwise_minus_shuffled_1'] == pytest.approx(-0.02)
  assert numbers['kwise_minus_shuffled_2'] == pytest.approx(-0.04)
  ends = small.interval([-0.01, -0.02, -0.03])
  assert small.ends(found, 'kwise_minus_shuffled_1') == pytest.approx(ends)
  assert numbers['test_log_loss_kwise_1'] == pytest.approx(0.6)
  assert numbers['train_log_loss_shuffled_2'] == pytest.approx(0.545)
  assert numbers['test_accuracy_kwise_2'] == pytest.approx(0.7)
  assert set(small.sides(found).values()) == {('<', 0.0)}


@pytest.mark.parametrize('epochs', [1, 2])
def test_one_number_of_epochs_without_a_gain_is_no_pass(epochs):
  """Here the twin is ahead after one of them."""

  def extra(seed, loss, n):
    sign = -1 if n == epochs else 1
    return sign * behind(seed, loss, n) if loss == 'shuffled' else 0.0

  found = kwise.together(tables(extra))
  assert intervals.verdict(found.contrasts) != 'pass'
  steady = lambda seed, loss, n: 0.01 * (loss == 'shuffled') * (1 + seed / 10)
  assert intervals.verdict(kwise.together(tables(steady)).contrasts) == 'pass'


@pytest.mark.parametrize(('cost', 'verdict'), [(0.01, 'pass'), (-0.01, 'fail')])
def test_a_second_epoch_is_judged_by_what_it_adds(cost, verdict):
  extra = lambda seed, loss, n: (n - 1) * (cost + 0.001 * seed) + 0.1 * seed
  found = kwise.second_epoch(tables(extra))
  assert small.numbers(found)['second_epoch'] == pytest.approx(cost + 0.001)
  assert small.sides(found) == {'second_epoch': ('>', 0.0)}
  assert intervals.verdict(found.contrasts) == verdict


def test_a_missing_twin_is_not_run():
  alone = tables(behind, [('kwise', 1), ('kwise', 2)])
  with pytest.raises(NotRunError, match='no model of loss shuffled after 1'):
    kwise.together(alone)
  once = tables(behind, [('kwise', 1), ('shuffled', 1)])
  with pytest.raises(NotRunError, match='no model of loss kwise after 2'):
    kwise.second_epoch(once)


def test_the_figure_has_a_panel_for_each_number_of_epochs():
  found = tables(behind)
  canvas = figures.Canvas(found)
  drawings.ranking_losses(canvas, found)
  first, second = canvas.figure.axes
  assert (first.get_title(), second.get_title()) == ('1 epoch', '2 epochs')
  assert len(first.lines) == len(second.lines) == 4
  solid = first.lines[0]
  assert list(solid.get_ydata()) == pytest.approx([0.69, 0.6])
  # The mean over seeds whose rankings have 100, 101 and 102 pairs.
  assert list(solid.get_xdata()) == pytest.approx([50, 101])


@pytest.mark.parametrize(
  ('scenario', 'where', 'name'),
  [
    (0, 'equal_1', 'kwise_minus_shuffled_1'),
    (0, 'equal_2', 'kwise_minus_shuffled_2'),
    (1, 'equal', 'second_epoch'),
  ],
)
def test_a_simulated_boundary_is_a_difference_of_0(
  scenario, where, name, monkeypatch
):
  """The others lie on the claim's side."""
  monkeypatch.setattr(operating, 'ERROR', 0.0)
  made = operating.SCENARIOS[scenario]
  found = made.make(np.random.default_rng(0), range(3), where)
  evaluator = (kwise.together, kwise.second_epoch)[scenario]
  for contrast in evaluator(found).contrasts:
    mean = contrast.interval.mean
    assert (abs(mean) < 1e-9) == (contrast.name == name)
    assert abs(mean) < 1e-9 or (mean > 0) == (contrast.side == '>')
