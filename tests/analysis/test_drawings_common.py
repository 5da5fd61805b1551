import numpy as np
import pytest

from rlhf_jax.analysis import figures
from rlhf_jax.analysis.drawings import common
from tests.analysis import tables_fixture


def _axes(frame):
  tables = {'lm': frame}
  canvas = figures.Canvas(tables)
  common.lm_loss(canvas, tables)
  return canvas.figure.axes


def test_a_table_of_before_shows_a_training_loss_and_says_so():
  for axis in _axes(tables_fixture.lm()):
    assert axis.figure.get_supylabel() == 'training loss (nats per token)'


def test_where_it_was_measured_the_held_out_loss_is_drawn():
  frame = tables_fixture.lm().assign(train_nats_per_token=1.0)
  curves, last = _axes(frame)
  assert curves.figure.get_supylabel() == 'held-out loss (nats per token)'
  wanted = [3.0 - 0.1 * np.log(n) + 0.05 for n in tables_fixture.SIZES.values()]
  assert [line.get_ydata()[0] for line in last.lines] == pytest.approx(wanted)


def test_a_loss_of_training_is_never_drawn_as_held_out():
  """Of a study half old, half new only the new runs are drawn."""
  frame = tables_fixture.lm()
  frame['train_nats_per_token'] = np.where(frame['size'] == '3K', 1.0, np.nan)
  curves, _ = _axes(frame)
  assert [line.get_label() for line in curves.lines] == ['3K']
  assert curves.figure.get_supylabel() == 'held-out loss (nats per token)'
  nowhere = _axes(frame.assign(train_nats_per_token=np.nan))[0]
  assert nowhere.figure.get_supylabel() == 'training loss (nats per token)'
  assert len(nowhere.lines) == len(tables_fixture.SIZES)
