"""A binary head: its fit by hand, its choice, what its score means."""

import math

import numpy as np
import pytest
from scipy.special import expit

from rlhf_jax.linear import binary, head, logistic

SHAPE = (2, 3, 4)
BLOCKS = ((1, 1),)


def settings(**changes):
  return head.Settings((BLOCKS,), (0.01, 0.1), 3)._replace(**changes)


def drawn(N=300, seed=0):
  """Replies of which the first feature of block (1, 1) decides."""
  rng = np.random.default_rng(seed)
  reply = 3 + 2 * rng.normal(size=(N, *SHAPE)).astype(np.float32)
  logit_N = 1.5 * (reply[:, 1, 1, 0] - 3) - 1
  return reply, rng.random(N) < expit(logit_N), np.arange(N) // 3


def newton(x, good, l2):
  """(weights, offset), the offset free, by dense steps."""
  design = np.hstack([x, np.ones((len(x), 1))])
  weight, penalty = np.zeros(design.shape[1]), np.full(design.shape[1], l2)
  penalty[-1] = 0
  for _ in range(60):
    p = expit(design @ weight)
    slope = design.T @ (p - good) / len(x) + penalty * weight
    curve = (design.T * (p * (1 - p))) @ design / len(x) + np.diag(penalty)
    weight = weight - np.linalg.solve(curve, slope)
  return weight[:-1], weight[-1]


def test_the_score_is_the_log_odds_of_the_fit_on_scaled_features():
  reply, good, group = drawn()
  rng = np.random.default_rng(0)
  found, choice = binary.fit(reply, good, group, settings(l2s=(0.1,)), rng)
  x = reply[:, 1, 1].astype(float)
  scaled = (x - x.mean(0)) / x.std(0)
  weight, offset = newton(scaled, good, 0.1)
  wanted = scaled @ weight + offset
  score = head.score(found, np.zeros_like(reply), reply)
  np.testing.assert_allclose(score, wanted, atol=1e-4)
  others = found.weight_CPLD.copy()
  others[0, 1, 1] = 0
  assert not others.any() and choice.blocks == BLOCKS and choice.l2 == 0.1


def test_the_loss_of_a_choice_is_that_of_loops_over_folds():
  reply, good, group = drawn(90)
  how = settings(l2s=(0.3,), folds=2)
  _, choice = binary.fit(reply, good, group, how, np.random.default_rng(4))
  fold_N = binary.grouped_folds(group, 2, np.random.default_rng(4))
  total = 0.0
  for fold in (0, 1):
    inside = fold_N != fold
    x = reply[:, 1, 1].astype(float)
    x = (x - x[inside].mean(0)) / x[inside].std(0)
    weight, offset = newton(x[inside], good[inside], 0.3)
    for row, label in zip(x[~inside], good[~inside], strict=True):
      p = expit(row @ weight + offset)
      total -= math.log(p if label else 1 - p)
  # A fit that only helps to choose ends early, at a slope of ROUGH.
  assert choice.loss == pytest.approx(total / 90, abs=1e-4)


def test_blocks_and_penalty_are_those_of_the_least_held_out_loss():
  reply, good, group = drawn()
  choices = head.candidates_of(('last', 'mean'), 3, 1)
  how = settings(candidates=choices, l2s=(0.01, 0.1, 1000.0))
  _, choice = binary.fit(reply, good, group, how, np.random.default_rng(0))
  assert choice.blocks == BLOCKS and choice.l2 < 1000
  base = good.mean()
  coin = -base * math.log(base) - (1 - base) * math.log(1 - base)
  assert choice.loss < coin


def test_a_path_of_classes_ends_where_each_fit_alone_does():
  reply, good, _ = drawn(80)
  x = reply[:, 1, 1].astype(float) - 3
  for l2, weight, offset in logistic.path_classes(x, good, (1.0, 0.1, 0.01)):
    wanted = logistic.fit_classes(x, good, l2)
    np.testing.assert_allclose(weight, wanted[0], atol=1e-5)
    assert offset == pytest.approx(wanted[1], abs=1e-5)


@pytest.mark.parametrize('all_of_them', [True, False])
def test_replies_of_one_kind_alone_are_an_error(all_of_them):
  reply, _, group = drawn(30)
  good = np.full(30, all_of_them)
  with pytest.raises(ValueError, match='wanted good and other replies'):
    binary.fit(reply, good, group, settings(), np.random.default_rng(0))


def test_a_condition_is_an_error():
  how, rng = settings(conditional=True), np.random.default_rng(0)
  with pytest.raises(ValueError, match='without a condition'):
    binary.fit(*drawn(30), how, rng)
