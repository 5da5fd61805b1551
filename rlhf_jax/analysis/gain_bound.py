"""The most that any policy can gain at a KL: the bound of Donsker and Varadhan.

For every b > 0, prompt x and policy pi

  E_pi[r] - E_pi_0[r] <= (log E_pi_0 exp(b (r - mean_x)) + KL(pi || pi_0)) / b,

and so on average over prompts with one b for all of them. The bound is met by
pi_0 exp(b r) at the b that minimises it. For Gaussian rewards it is
sqrt(2 V KL); rewards with a long upper tail go above that without any error
(exponential ones, best of 76: KL 3.34, gain 3.91, sqrt(2 V KL) = 2.59).

Reference: Donsker and Varadhan 1983, Comm. Pure Appl. Math. 36, section 2.
"""

import math

import numpy as np
import pandas as pd

MIN_ESS = 20
MIN_CHECKPOINTS = 4


def gain_bound(kl: float, b_N, log_mgf_N) -> tuple[float, int]:
  """The bound on the gain at one KL, and the index of the b that gives it.

    inf_b (log E exp(b (r - mean)) + KL) / b

  Args:
    kl: in nats per reply.
    b_N: inverse temperatures, above 0.
    log_mgf_N: log E exp(b (r - mean)) at each, a mean over prompts.
  """
  bound_N = (np.asarray(log_mgf_N, float) + kl) / np.asarray(b_N, float)
  index = int(np.argmin(bound_N))
  return float(bound_N[index]), index


def window_excess(
  window: pd.DataFrame, s0: float, frontier: pd.DataFrame
) -> dict[str, float]:
  """Gain less bound in a window of one run, where the bound can be trusted.

  A checkpoint is judged where the b of its bound has an effective sample of 20
  replies or more and is not the first or last of those at hand (beyond them a
  lower bound may lie).

  Args:
    window: checkpoints of a run: kl and train_pm.
    s0: the score of pi_0.
    frontier: the rows of the run of `frontier.csv`, of the train PM.

  Returns:
    excess: mean (gain - bound) over mean bound of the judged checkpoints, NaN
    for fewer than four; share_of_bound: 1 + excess; judged_to: sqrt(KL) of the
    last of them.
  """
  frontier = frontier.sort_values('b')
  b_N, mgf_N, ess_N = frontier[['b', 'log_mgf', 'ess']].to_numpy().T
  judged = []
  for kl, score in zip(window['kl'], window['train_pm'], strict=True):
    bound, index = gain_bound(kl, b_N, mgf_N)
    if 0 < index < len(b_N) - 1 and ess_N[index] >= MIN_ESS:
      judged.append((kl, score - s0, bound))
  if len(judged) < MIN_CHECKPOINTS:
    nan = math.nan
    return {'excess': nan, 'share_of_bound': nan, 'judged_to': nan}
  kl_N, gain_N, bound_N = np.transpose(judged)
  excess = float((gain_N - bound_N).mean() / bound_N.mean())
  return {
    'excess': excess,
    'share_of_bound': 1 + excess,
    'judged_to': math.sqrt(kl_N.max()),
  }
