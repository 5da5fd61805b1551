"""Best-of-n from replies of pi_0: its gain without bias, its exact KL.

Of n replies the one with the highest score is taken; replies that tie are
drawn from alike. Chosen by one score, it may be measured by another: by a
preference model and in gold.

Source: Stiennon et al. 2020, appendix G.3; Gao et al. 2022, section 3.1.
"""

import numpy as np
import pandas as pd
from scipy import special


def best_of(score_PN, sizes, measured_PN=None) -> pd.DataFrame:
  """Best-of-n of each prompt from N >= n replies, averaged over prompts.

    E measure = sum_i C(i - 1, n - 1) / C(N, n) m_(i)

  over replies in ascending order of score, with m_(i) the mean measure of those
  that tie with reply i: the mean over all subsets of n replies, ties broken by
  a fair draw.

  Args:
    score_PN: scores that choose; rows are prompts.
    sizes: values of n, each at most N.
    measured_PN: what is reported of the chosen reply; None: the score.

  Returns:
    n, gain (over the mean of all replies), kl (nats per reply, `kl_of_ranks`).
  """
  score_PN = np.asarray(score_PN, float)
  measured_PN = score_PN if measured_PN is None else np.asarray(measured_PN)
  order_PN = np.argsort(score_PN, axis=1, kind='stable')
  sorted_PN = np.take_along_axis(score_PN, order_PN, 1)
  mean_PN = _mean_of_ties(
    sorted_PN, np.take_along_axis(measured_PN.astype(float), order_PN, 1)
  )
  rows = []
  for n in sizes:
    share_N = chosen_share(score_PN.shape[1], n)
    gain = (mean_PN @ share_N - measured_PN.mean(1)).mean()
    kl = np.mean([kl_of_ranks(row, n) for row in sorted_PN])
    rows.append({'n': n, 'gain': float(gain), 'kl': float(kl)})
  return pd.DataFrame(rows)


def measured_by(frame, scorer, chooser) -> pd.DataFrame:
  """Rows of best_of_n.csv of one chooser, measured by one scorer.

  In a table of before, every scorer measures what it has chosen itself.
  """
  own = frame['chooser'] if 'chooser' in frame else frame['scorer']
  return frame[(frame['scorer'] == scorer) & (own == chooser)]


def chosen_share(N, n) -> np.ndarray:
  """Share of the subsets of n of N whose largest has rank i: [N], sums to 1.

    C(i - 1, n - 1) / C(N, n)

  Raises:
    ValueError: unless 1 <= n <= N.
  """
  if not 1 <= n <= N:
    raise ValueError(f'wanted n of best-of-n in [1, {N}], got {n}')
  rank_N = np.arange(1, N + 1)
  log_N = _log_choose(np.maximum(rank_N, n) - 1, n - 1) - _log_choose(N, n)
  return np.where(rank_N >= n, np.exp(log_N), 0.0)


def kl_of_ranks(sorted_N, n) -> float:
  """KL(best-of-n || pi_0) from the ranks of N replies to one prompt.

    log n - (n - 1) / n - sum_v lost(a_v, b_v)
    lost(a, b) = int_a^b n t^(n-1) log(n t^(n-1)) dt
                 - (b^n - a^n) log((b^n - a^n) / (b - a))

  The first part is exact where no two replies tie. Those that do, of score v,
  have the ranks a N + 1 to b N; among them best-of-n draws as pi_0 does, and
  what ranks would tell them apart is lost. A score that only one reply has is
  taken for one that no other could have.

  Args:
    sorted_N: scores, in ascending order.
    n: replies of which the best is taken.
  """
  N = len(sorted_N)
  start = np.flatnonzero(np.diff(sorted_N, prepend=-np.inf) > 0)
  end = np.append(start[1:], N)
  tied = end - start > 1
  a, b = start[tied] / N, end[tied] / N
  a_n, b_n = a**n, b**n
  whole = np.log(n) * (b_n - a_n) + (n - 1) / n * (_rise(b_n) - _rise(a_n))
  lost = whole - special.xlogy(b_n - a_n, (b_n - a_n) / (b - a))
  return float(np.log(n) - (n - 1) / n - lost.sum())


def _rise(u):
  """The antiderivative of log u: u log u - u."""
  return special.xlogy(u, u) - u


def _mean_of_ties(sorted_PN, measured_PN):
  """Each measure replaced by the mean over the replies that tie with it."""
  P, N = sorted_PN.shape
  new_PN = np.diff(sorted_PN, axis=1, prepend=-np.inf) > 0
  group = np.cumsum(new_PN.ravel()) - 1
  count = np.bincount(group)
  mean = np.bincount(group, measured_PN.ravel()) / count
  return mean[group].reshape(P, N)


def _log_choose(a, b):
  """Log C(a, b), a >= b."""
  return (
    special.gammaln(a + 1) - special.gammaln(b + 1) - special.gammaln(a - b + 1)
  )
