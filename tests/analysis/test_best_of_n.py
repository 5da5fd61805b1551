"""Best-of-n beside enumeration: of subsets, of tuples, of ties."""

import itertools
import math

import numpy as np
import pytest

from rlhf_jax.analysis import best_of_n


@pytest.fixture
def rng():
  return np.random.default_rng(0)


def mean_over_subsets(score_N, measured_N, n):
  """The naive twin: every subset of n, ties drawn from alike."""
  found = []
  for some in itertools.combinations(range(len(score_N)), n):
    best = max(score_N[i] for i in some)
    found.append(np.mean([measured_N[i] for i in some if score_N[i] == best]))
  return np.mean(found)


@pytest.mark.parametrize('levels', [3, 1000])
def test_best_of_n_is_the_mean_over_all_subsets(rng, levels):
  """Ties or not; chosen by one, measured by another (checklist 87)."""
  score_PN = rng.integers(levels, size=(3, 7)).astype(float)
  gold_PN = rng.standard_normal((3, 7))
  for measured_PN in (score_PN, gold_PN):
    found = best_of_n.best_of(score_PN, [1, 2, 4, 7], measured_PN)
    for row in found.to_dict('records'):
      wanted = [
        mean_over_subsets(score_N, m_N, row['n']) - m_N.mean()
        for score_N, m_N in zip(score_PN, measured_PN, strict=True)
      ]
      assert row['gain'] == pytest.approx(np.mean(wanted))
  with pytest.raises(ValueError, match=r'in \[1, 7\], got 8'):
    best_of_n.best_of(score_PN, [8])


@pytest.mark.parametrize('N', [5, 2048])
def test_shares_of_ranks_add_up_to_one(N):
  for n in (1, 2, N // 2, N):
    share_N = best_of_n.chosen_share(N, n)
    assert share_N.sum() == pytest.approx(1, abs=1e-9)
    assert (share_N[: n - 1] == 0).all()
  assert best_of_n.chosen_share(N, N)[-1] == pytest.approx(1)


def test_without_ties_the_kl_is_the_closed_form(rng):
  """log n - (n - 1) / n (checklist 87)."""
  score_N = np.sort(rng.standard_normal(50))
  for n in (1, 2, 16, 1024):
    wanted = math.log(n) - (n - 1) / n
    assert best_of_n.kl_of_ranks(score_N, n) == pytest.approx(wanted)


@pytest.mark.parametrize('n', [1, 2, 3, 5])
def test_with_ties_the_kl_is_that_of_all_draws_of_n_replies(n):
  """Every reply is drawn with its share of the sample; three of them tie.

  P(chosen has score v) is counted over all tuples of n; the closed form for
  scores that never tie is a bound (checklist 87).
  """
  score_N = np.array([0, 0, 1, 1, 1, 2, 2, 2, 2, 2], float)
  level, count = np.unique(score_N, return_counts=True)
  p = count / count.sum()
  q = np.zeros(len(p))
  for some in itertools.product(range(len(p)), repeat=n):
    q[max(some)] += np.prod(p[list(some)])
  wanted = (q * np.log(q / p)).sum()
  found = best_of_n.kl_of_ranks(score_N, n)
  assert found == pytest.approx(wanted, abs=1e-12)
  bound = math.log(n) - (n - 1) / n
  assert found < bound or n == 1 and found == pytest.approx(bound, abs=1e-12)
  assert list(level) == [0, 1, 2]


def test_one_score_for_all_is_no_choice():
  """Best-of-n of them is pi_0."""
  for n in (2, 64, 1024):
    assert best_of_n.kl_of_ranks(np.ones(2048), n) == pytest.approx(0, abs=1e-9)


def test_ties_are_estimated_from_a_sample(rng):
  """A best reply of probability .05 among others that never tie: at n = 64.

  It is chosen with q = 1 - .95^64; what is left tilts like best-of-n.
  """
  n, p, kls = 64, 0.05, []
  for _ in range(200):
    score_N = np.where(rng.random(2048) < p, 2.0, rng.random(2048))
    kls.append(best_of_n.kl_of_ranks(np.sort(score_N), n))
  q, low = 1 - (1 - p) ** n, (1 - p) ** n
  rest = math.log(n) * low + (n - 1) / n * (low * math.log(low) - low)
  wanted = q * math.log(q / p) + rest
  assert np.mean(kls) == pytest.approx(wanted, rel=0.005)
