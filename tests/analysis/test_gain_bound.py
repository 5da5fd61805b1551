"""The most that a policy gains at a KL, where the answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from rlhf_jax.analysis import gain_bound, kl_reward


def naive_bound(kl, b_N, log_mgf_N):
  found = [(m + kl) / b for b, m in zip(b_N, log_mgf_N, strict=True)]
  return min(found), found.index(min(found))


@pytest.mark.parametrize('kl', [0.01, 1.0, 9.0])
def test_gaussian_rewards_are_bounded_by_sqrt_2_v_kl(kl):
  """log E exp(b r) = b^2 V / 2, whose minimum is at b = sqrt(2 KL / V)."""
  V = 0.7
  b_N = np.sort([0.01, 0.5, 2.0, 30.0, math.sqrt(2 * kl / V)])
  found, index = gain_bound.gain_bound(kl, b_N, b_N**2 * V / 2)
  wanted = kl_reward.theory_slope(V) * math.sqrt(kl)
  assert found == pytest.approx(wanted, rel=1e-12)
  assert b_N[index] == math.sqrt(2 * kl / V)
  naive = naive_bound(kl, b_N, b_N**2 * V / 2)
  assert (found, index) == pytest.approx(naive)


def test_exponential_rewards_break_sqrt_2_v_kl_and_keep_the_bound():
  """Best of 76: KL = log n - (n - 1) / n, gain = 1 + 1/2 + ... + 1/n - 1."""
  n = 76
  kl = math.log(n) - (n - 1) / n
  gain = sum(1 / k for k in range(1, n + 1)) - 1
  assert (kl, gain) == pytest.approx((3.34, 3.91), abs=0.006)
  gaussian = kl_reward.theory_slope(1.0) * math.sqrt(kl)
  assert gain > gaussian == pytest.approx(2.59, abs=0.01)
  b_N = np.linspace(0.001, 0.999, 999)
  bound, _ = gain_bound.gain_bound(kl, b_N, -b_N - np.log(1 - b_N))
  # The tilted one is exponential again and meets it: g - log(1 + g) = KL.
  assert bound - math.log(1 + bound) == pytest.approx(kl, abs=1e-5)
  assert gain < bound


def test_no_policy_on_enumerable_replies_gains_more():
  rng = np.random.default_rng(0)
  pi0 = rng.dirichlet(np.ones(30), size=8)
  reward = rng.exponential(size=(8, 30))
  centred = reward - (pi0 * reward).sum(1, keepdims=True)
  b_N = np.geomspace(1e-3, 1e3, 400)
  mgf_N = [logsumexp(b * centred, b=pi0, axis=1).mean() for b in b_N]
  for sharpness in (0.1, 1.0, 5.0):
    policy = pi0 * np.exp(sharpness * rng.standard_normal((8, 30)) + centred)
    policy /= policy.sum(1, keepdims=True)
    kl = (policy * np.log(policy / pi0)).sum(1).mean()
    gain = (policy * centred).sum(1).mean()
    assert gain <= gain_bound.gain_bound(kl, b_N, mgf_N)[0]
  tilted = pi0 * np.exp(b_N[200] * centred)
  tilted /= tilted.sum(1, keepdims=True)
  kl = (tilted * np.log(tilted / pi0)).sum(1).mean()
  gain = (tilted * centred).sum(1).mean()
  bound, index = gain_bound.gain_bound(kl, b_N, mgf_N)
  assert index == 200 and gain == pytest.approx(bound)


def window(n=5):
  kl_N = np.arange(1, n + 1) / 4
  return pd.DataFrame({'kl': kl_N, 'train_pm': 2.0 + 0.5 * np.sqrt(kl_N)})


def frontier(ess=100.0, top=9.0):
  b_N = np.linspace(0.01, top, 900)
  rows = {'b': b_N, 'log_mgf': b_N**2 / 2, 'ess': ess}
  return pd.DataFrame(rows)[::-1]


def test_the_excess_of_a_window_by_hand():
  """V = 1: the bound is sqrt(2 KL), the gain .5 sqrt(KL)."""
  found = gain_bound.window_excess(window(), 2.0, frontier())
  wanted = 0.5 / math.sqrt(2)
  assert found['share_of_bound'] == pytest.approx(wanted, rel=1e-3)
  assert found['excess'] == found['share_of_bound'] - 1
  assert found['judged_to'] == pytest.approx(math.sqrt(1.25))


@pytest.mark.parametrize(
  ('points', 'table'),
  [(3, frontier()), (5, frontier(19.9)), (5, frontier(top=0.5))],
)
def test_a_bound_that_cannot_be_trusted_is_not_judged(points, table):
  """Too few checkpoints, too few replies, or every b too small."""
  found = gain_bound.window_excess(window(points), 2.0, table)
  assert all(map(math.isnan, found.values()))
