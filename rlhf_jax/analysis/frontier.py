"""The most that any policy can gain at a KL, from replies of pi_0 alone.

Of all policies with the same KL(pi || pi_0), averaged over prompts, the one
with the highest mean reward tilts pi_0's own replies:

    pi_b(y | x) ~ pi_0(y | x) exp(b r(x, y)),   one b for all prompts
    gain(b) = E_x[E_{pi_b}[r] - E_{pi_0}[r]]
    KL(b)   = E_x[b E_{pi_b}[r] - log E_{pi_0}[exp(b r)]]

Both are estimated from n replies a prompt. How far a sample reaches is said by
its effective size, 1 / sum w^2 of the tilted weights: below 20 the estimate is
of a few replies, and the curve stops.

Source: the optimum of a KL-regularised reward, Ziegler et al. 2019
(arXiv:1909.08593), eq. 3.
"""

import dataclasses
import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import fits
from rlhf_jax.analysis.gain_bound import MIN_ESS

POINTS = 40


@dataclasses.dataclass(frozen=True)
class Tilted:
  """What one b gives, averaged over prompts.

  Attributes:
    b: of the tilt, per unit of reward.
    gain: E_x[E_b r - E_0 r], in units of reward.
    kl: nats per reply.
    log_mgf: E_x log E_0 exp(b (r - E_0 r)), nats.
    ess: effective number of replies, the mean over prompts.
  """

  b: float
  gain: float
  kl: float
  log_mgf: float
  ess: float


def tilt(score_PN, b) -> Tilted:
  """Estimates the tilted policy from n replies a prompt.

  Plug-in estimates of a ratio and of a logarithm are off by order 1 / n: each
  is corrected by leaving out one reply at a time (the jackknife),
  n f - (n - 1) mean_i f(without i).

  Args:
    score_PN: rewards of replies of pi_0; rows are prompts.
    b: of the tilt.
  """
  score_PN = np.asarray(score_PN, float)
  n = score_PN.shape[1]
  if n < 2:
    raise ValueError(f'wanted two replies a prompt or more, got {n}')
  centre_P1 = score_PN.mean(1, keepdims=True)
  r_PN = score_PN - centre_P1
  top_P1 = (b * r_PN).max(1, keepdims=True)
  w_PN = np.exp(b * r_PN - top_P1)
  weight_P1 = w_PN.sum(1, keepdims=True)
  product_P1 = (w_PN * r_PN).sum(1, keepdims=True)
  left_PN = np.maximum(weight_P1 - w_PN, 1e-300)
  # Without reply i the mean of the rest is -r_i / (n - 1).
  mean_PN = -r_PN / (n - 1)
  mgf_PN = np.log(left_PN / (n - 1)) + top_P1 - b * mean_PN
  gain_PN = (product_P1 - w_PN * r_PN) / left_PN - mean_PN
  plug = {
    'gain': product_P1 / weight_P1,
    'log_mgf': np.log(weight_P1 / n) + top_P1,
  }
  gain = n * plug['gain'].mean() - (n - 1) * gain_PN.mean()
  log_mgf = n * plug['log_mgf'].mean() - (n - 1) * mgf_PN.mean()
  ess = (weight_P1[:, 0] ** 2 / (w_PN**2).sum(1)).mean()
  return Tilted(
    float(b), float(gain), float(b * gain - log_mgf), float(log_mgf), float(ess)
  )


def curve(score_PN, points=POINTS) -> pd.DataFrame:
  """The frontier, b by b, as far as the replies carry it.

  Args:
    score_PN: rewards of replies of pi_0; rows are prompts.
    points: values of b, evenly from 0 to the last with an effective sample of
      `MIN_ESS`.

  Returns:
    b, gain, kl, log_mgf, ess: a row a point, b = 0 left out.
  """
  score_PN = np.asarray(score_PN, float)
  spread = math.sqrt(score_PN.var(1).mean())
  if not spread > 0:
    raise ValueError('all replies to a prompt score the same: nothing to tilt')
  low, high = 0.0, 1.0 / spread
  while tilt(score_PN, high).ess > MIN_ESS and high * spread < 1e3:
    low, high = high, 2 * high
  for _ in range(30):
    middle = (low + high) / 2
    enough = tilt(score_PN, middle).ess > MIN_ESS
    low, high = (middle, high) if enough else (low, middle)
  if low == 0:
    raise ValueError(
      f'{score_PN.shape[1]} replies a prompt have an effective size of '
      f'{MIN_ESS:.0f} at no tilt: sample more of them'
    )
  rows = [tilt(score_PN, b) for b in np.linspace(0, low, points + 1)[1:]]
  return pd.DataFrame(map(dataclasses.asdict, rows))


def shape(frontier: pd.DataFrame) -> dict[str, float]:
  """Bow and exponent of the frontier, and how far it reaches.

  Args:
    frontier: of `curve`.

  Returns:
    bow (of `fits.quadratic_bow` on sqrt(KL)), p of gain = a KL^p, sqrt_kl, the
    last point of the curve.
  """
  kl_N, gain_N = frontier['kl'].to_numpy(), frontier['gain'].to_numpy()
  root_N = np.sqrt(np.maximum(kl_N, 0))
  return {
    'bow': fits.quadratic_bow(root_N, gain_N),
    'p': fits.power_exponent(kl_N, gain_N),
    'sqrt_kl': float(root_N.max()),
  }


def efficiency(frontier: pd.DataFrame, kl_N, gain_N) -> np.ndarray:
  """A policy's gain over that of the frontier at the same KL.

  NaN beyond the frontier's last point, and at KL 0, where both are 0.

  Args:
    frontier: of `curve`.
    kl_N: of checkpoints of the policy, nats per reply.
    gain_N: their gains over pi_0.
  """
  root_N = np.sqrt(np.maximum(np.asarray(kl_N, float), 0))
  edge = np.sqrt(np.maximum(frontier['kl'].to_numpy(), 0))
  best_N = np.interp(
    root_N,
    np.append(0, edge),
    np.append(0, frontier['gain']),
    right=math.nan,
  )
  with np.errstate(invalid='ignore', divide='ignore'):
    return np.where(root_N > 0, np.asarray(gain_N, float) / best_N, math.nan)


def moments(score_PN) -> dict[str, float]:
  """Shape of the scores within prompts: where a straight line may end.

  Returns:
    variance V, skew and excess kurtosis of the deviations from each prompt's
    mean, each deviation over its prompt's standard deviation; tail, the mean
    Hill index of the upper tenth of a prompt's replies (a large number is a
    light tail).
  """
  score_PN = np.asarray(score_PN, float)
  r_PN = score_PN - score_PN.mean(1, keepdims=True)
  spread_P1 = r_PN.std(1, keepdims=True)
  z_PN = (r_PN / np.where(spread_P1 > 0, spread_P1, math.nan))[
    spread_P1[:, 0] > 0
  ]
  return {
    'variance': float((r_PN**2).mean()),
    'skew': float((z_PN**3).mean()),
    'kurtosis': float((z_PN**4).mean() - 3),
    'tail': float(np.mean([_hill(row) for row in score_PN])),
  }


def carried(frontier: pd.DataFrame, ess) -> pd.DataFrame:
  """The curve as far as so many effective replies carry it."""
  return frontier[frontier['ess'] >= ess * (1 - 1e-9)]


def tilted_moments(frontier: pd.DataFrame) -> dict[str, float]:
  """Skew and excess kurtosis of the tilted scores at the end of the curve.

  Moments of the few replies that carry the last point are moments of few
  replies: even those of normal scores look skew there. The gain is better
  known, and its derivatives by b are the cumulants of the tilted scores:

    gain(b) = V b + c2 b^2 + c3 b^3,   a least-squares fit through 0
    V_b = V + 2 c2 b + 3 c3 b^2
    skew = (2 c2 + 6 c3 b) / V_b^1.5,   excess kurtosis = 6 c3 / V_b^2

  Both are 0 of normal scores. Of n normal scores a prompt they are not: where
  20 replies carry the end, its gain is short of what is beyond the largest of
  them. `normal_moments` says by how much.

  Args:
    frontier: of `curve`, or its first points.

  Returns:
    tilted_skew, tilted_kurtosis.
  """
  b_N, gain_N = frontier['b'].to_numpy(), frontier['gain'].to_numpy()
  end = b_N[-1]
  powers_N3 = (b_N / end)[:, None] ** np.arange(1, 4)
  one, two, three = np.linalg.lstsq(powers_N3, gain_N, rcond=None)[0]
  variance = (one + 2 * two + 3 * three) / end
  third, fourth = (2 * two + 6 * three) / end**2, 6 * three / end**3
  return {
    'tilted_skew': float(third / variance**1.5),
    'tilted_kurtosis': float(fourth / variance**2),
  }


def normal_moments(shape, draws=40, ess=MIN_ESS) -> dict[str, float]:
  """What `tilted_moments` finds of normal scores, in 95 of 100 draws.

  Args:
    shape: prompts and replies to each.
    draws: of the scores.
    ess: effective replies that carry the curve's last point.

  Returns:
    low and high of tilted_skew and tilted_kurtosis, as tilted_skew_low, ...
  """
  rng, found = np.random.default_rng(0), []
  for _ in range(draws):
    edge = carried(curve(rng.standard_normal(shape)), ess)
    found.append(tilted_moments(edge))
  rows = pd.DataFrame(found).quantile([0.025, 0.975])
  ends = zip(('low', 'high'), rows.to_dict('records'), strict=True)
  return {f'{k}_{end}': float(v) for end, row in ends for k, v in row.items()}


def _hill(score_N, share=0.1) -> float:
  """Hill's index of exp(score): 1 / mean excess over the upper quantile."""
  sorted_N = np.sort(score_N)
  k = max(2, int(share * len(sorted_N)))
  excess = (sorted_N[-k:] - sorted_N[-k - 1]).mean()
  return math.inf if excess <= 0 else float(1 / excess)
