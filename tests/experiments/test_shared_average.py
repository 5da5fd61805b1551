"""A preference model with an average: that is what is judged and kept."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
import shared_fixture as tiny

from experiments import train_pm
from experiments.shared import comparisons, readers
from rlhf_jax.train.averaging import AveragedState
from rlhf_jax.train.run import load_params

# Six updates: 48 pairs once.
CONFIG = tiny.PM | {
  'epochs': 1,
  'curve_eval_pairs': 4,
  'checkpoint_every': 3,
}


class Batches:
  """Endless batches of nothing, which can be saved."""

  last_rows = 0

  def __next__(self):
    return ()

  def get_state(self):
    return {}

  def set_state(self, state):
    del state


def filled(tree, value):
  return jax.tree.map(lambda x: np.full(x.shape, value, x.dtype), tree)


def last_and_average(state, frozen, batch, rng, hyper):
  """After update t the parameters are -t and their average is t."""
  averaged = isinstance(state, AveragedState)
  inner = state.state if averaged else state
  t = int(inner.step) + 1
  inner = inner._replace(step=np.int32(t), params=filled(inner.params, -t))
  if averaged:
    inner = AveragedState(inner, filled(state.average, t))
  return inner, {'loss': 1.0}


class Reader:
  """Chosen replies score what the head is, rejected ones 0."""

  def batches(self, *_):
    return Batches()

  def scores(self, score_fn, both, count, batch_size):
    (value,) = np.unique(both[1]['head']['kernel'])
    row_N = np.zeros(12)[:count]
    return row_N + value, row_N


@pytest.mark.parametrize(('eta', 'sign'), [(0.0, 1), (-1.0, -1)])
def test_what_is_judged_and_kept_is_the_average_where_there_is_one(
  eta, sign, tmp_path, monkeypatch
):
  """Six steps; the curve is read at 3 and 6, where the average is 3 and 6."""
  pairs = tiny.pairs(np.full(48, 0.8))
  found = comparisons.Pairs(pairs, pairs.take(slice(12)), {})
  program = last_and_average, 'score'
  for module, name, value in (
    (train_pm, 'open_base', tiny.base()),
    (comparisons, 'read_pairs', found),
    (readers, 'reader_of', Reader()),
    (readers, 'score_function', 'score'),
    (readers, 'pm_programs', program),
  ):
    monkeypatch.setattr(module, name, lambda *_, v=value, **__: v)
  train_pm.run(CONFIG | {'average_eta': eta}, tmp_path)
  curve = pd.read_csv(tmp_path / 'pm_curve.csv')
  right = 1.0 if sign > 0 else 0.0
  assert curve['pairs'].tolist() == [24, 24, 48, 48]  # mix and helpful
  assert set(curve['accuracy']) == {right}
  scored = pd.read_csv(tmp_path / 'pm_pairs.csv.gz')
  assert set(scored['score_chosen']) == {6.0 * sign}
  assert json.loads((tmp_path / 'done.json').read_text())['accuracy'] == right
  like = {'head': tiny.base().functions.init_head(jax.random.key(0))}
  kept = load_params(tmp_path, like)
  for leaf in jax.tree.leaves(kept):
    np.testing.assert_array_equal(leaf, np.full(leaf.shape, 6.0 * sign))
