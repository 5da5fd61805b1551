"""Win rates of one model against another, as a judge sees them.

A game is one prompt: w is 1 if the model wins, 0 if it loses, 1/2 for a tie.

    win rate           mean of w
    length-controlled  sigmoid(theta) of
                       P(w) = sigmoid(theta + phi tanh(d / sd(d)))

with d the characters of the model's reply less those of the other's and sd(d)
their standard deviation over all games: what the win rate would be were both
replies equally long, as far as one slope tells. AlpacaEval 2.0 has in theta
also a difficulty of each prompt, fitted to a hundred models on its leader
board; two models have none, and it is left out.

Reference: Dubois et al. 2024 (arXiv:2404.04475), section 3.
"""

import math

import numpy as np
from scipy.special import expit

from rlhf_jax.analysis.intervals import Interval

PENALTY = 0.01  # of theta^2 / 2 and phi^2 / 2, in games: keeps both finite
STEPS = 60  # of Newton's method at most
DRAWS = 1000


def length_term(difference_N) -> np.ndarray:
  """tanh(d / sd(d)); 0 where all differences are 0."""
  difference_N = np.asarray(difference_N, float)
  sd = difference_N.std()
  return np.tanh(difference_N / sd) if sd else np.zeros(len(difference_N))


def fit_length(win_N, term_N, weight_DN) -> np.ndarray:
  """(theta, phi) of each row of weights, [D, 2], by Newton's method.

  They maximise  sum_n weight_n (w log p + (1 - w) log(1 - p))
                 - PENALTY (theta^2 + phi^2) / 2.

  Args:
    win_N: w.
    term_N: tanh(d / sd).
    weight_DN: of each game, such as how often it was drawn.
  """
  x_N2 = np.stack([np.ones(len(term_N)), term_N], 1)
  found_D2 = np.zeros((len(weight_DN), 2))
  for _ in range(STEPS):
    p_DN = expit(found_D2 @ x_N2.T)
    slope_D2 = (weight_DN * (win_N - p_DN)) @ x_N2 - PENALTY * found_D2
    curve_DN = weight_DN * p_DN * (1 - p_DN)
    bend_D22 = np.einsum('dn,ni,nj->dij', curve_DN, x_N2, x_N2)
    bend_D22 = bend_D22 + PENALTY * np.eye(2)
    step_D2 = np.linalg.solve(bend_D22, slope_D2[..., None])[..., 0]
    # A short step keeps Newton inside the concave part of the likelihood.
    most_D1 = np.abs(step_D2).max(1, keepdims=True)
    found_D2 = found_D2 + step_D2 / np.maximum(1.0, most_D1)
    if most_D1.max() < 1e-10:
      break
  return found_D2


def rates(win_N, difference_N, prompt_N, seed=0, draws=DRAWS, level=0.95):
  """{'win_rate': Interval, 'length_controlled': Interval}.

  Bootstrapped over prompts, both on the same draws; sd(d) stays that of all
  games. n counts prompts.

  Args:
    win_N: w.
    difference_N: d.
    prompt_N: of each game; both replies of a game are to one prompt.
    seed: of the bootstrap.
    draws: bootstrap samples.
    level: of the intervals.
  """
  win_N = np.asarray(win_N, float)
  names, place_N = np.unique(np.asarray(prompt_N), return_inverse=True)
  P = len(names)
  if not P:
    none = Interval(math.nan, math.nan, math.nan, 0)
    return {'win_rate': none, 'length_controlled': none}
  rng = np.random.default_rng(seed)
  count_DP = rng.multinomial(P, np.full(P, 1 / P), size=draws)
  weight_DN = np.concatenate([np.ones((1, P)), count_DP])[:, place_N]
  mean_D = (weight_DN @ win_N) / weight_DN.sum(1)
  theta_D = fit_length(win_N, length_term(difference_N), weight_DN)[:, 0]
  found = {'win_rate': mean_D, 'length_controlled': expit(theta_D)}
  ends = [(1 - level) / 2, (1 + level) / 2]
  return {
    name: Interval(float(x_D[0]), *map(float, np.quantile(x_D[1:], ends)), P)
    for name, x_D in found.items()
  }
