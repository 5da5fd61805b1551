"""Elo by maximum likelihood, and conversions between Elo and PM score.

Source: Bai et al. 2022, section 2.4 and appendix B.5. 400 Elo are a factor of
10 in the odds of winning; a PM score is in log-odds, so one unit of it is
400 / ln 10 = 173.7178 Elo.
"""

import dataclasses
import math

import numpy as np
from scipy.special import expit

ELO_PER_LOGIT = 400 / math.log(10)


@dataclasses.dataclass(frozen=True)
class EloFit:
  """Ratings in Elo, mean zero, with their covariance."""

  rating_N: np.ndarray
  covariance_NN: np.ndarray

  def difference(self, a: int, b: int) -> tuple[float, float]:
    """(rating[a] - rating[b], its standard error)."""
    c = self.covariance_NN
    variance = c[a, a] + c[b, b] - 2 * c[a, b]
    return (
      float(self.rating_N[a] - self.rating_N[b]),
      math.sqrt(max(variance, 0.0)),
    )


def fit_elo(wins_NN, ties_NN=None) -> EloFit:
  """Bradley-Terry ratings by Newton's method; errors from the Hessian.

    log L = sum_ij wins[i, j] log sigmoid(r_i - r_j),   Elo = 173.72 r

  A tie counts as half a win for each side. Only differences are identified:
  the mean rating is set to zero and the covariance is the pseudo-inverse of
  the Hessian.

  Args:
    wins_NN: [N, N] wins[i, j] = times that i beat j.
    ties_NN: [N, N] symmetric, ties[i, j] = ties between i and j.

  Raises:
    ValueError: if the maximum is not finite: some group of players never lost
      (or never played) against the others.
  """
  wins_NN = np.array(wins_NN, float)
  if ties_NN is not None:
    wins_NN = wins_NN + np.asarray(ties_NN, float) / 2
  np.fill_diagonal(wins_NN, 0.0)
  _check_connected(wins_NN)
  games_NN = wins_NN + wins_NN.T
  rating_N = np.zeros(len(wins_NN))
  for _ in range(200):
    p_NN = expit(rating_N[:, None] - rating_N[None, :])
    slope_N = (wins_NN - games_NN * p_NN).sum(1)
    step_N = np.linalg.pinv(_hessian(games_NN, p_NN)) @ slope_N
    # A short step keeps Newton inside the concave part of the likelihood.
    step_N /= max(1.0, np.abs(step_N).max())
    rating_N = rating_N + step_N
    if np.abs(step_N).max() < 1e-12:
      break
  rating_N = rating_N - rating_N.mean()
  p_NN = expit(rating_N[:, None] - rating_N[None, :])
  covariance_NN = np.linalg.pinv(_hessian(games_NN, p_NN))
  return EloFit(ELO_PER_LOGIT * rating_N, ELO_PER_LOGIT**2 * covariance_NN)


def win_rate_from_elo(difference):
  """1 / (1 + 10^(-difference / 400)), difference = own Elo - opponent's."""
  return 1 / (1 + 10 ** (-np.asarray(difference, float) / 400))


def elo_from_win_rate(win_rate):
  """400 log10(w / (1 - w)); infinite at 0 and 1."""
  win_rate = np.asarray(win_rate, float)
  if np.any((win_rate < 0) | (win_rate > 1)):
    raise ValueError(f'a win rate lies in [0, 1], got {win_rate}')
  with np.errstate(divide='ignore'):
    return 400 * np.log10(win_rate / (1 - win_rate))


def naive_elo(gain):
  """What a gain in PM score predicts: 173.7178 Elo a unit of log-odds."""
  return ELO_PER_LOGIT * np.asarray(gain, float)


def _hessian(games_NN, p_NN):
  """Hessian of the negative log-likelihood: a weighted graph Laplacian."""
  weight_NN = games_NN * p_NN * (1 - p_NN)
  return np.diag(weight_NN.sum(1)) - weight_NN


def _check_connected(wins_NN):
  """The maximum is finite iff wins lead from every player to every other."""
  n = len(wins_NN)
  reach_NN = (wins_NN > 0) | np.eye(n, dtype=bool)
  for k in range(n):
    reach_NN |= reach_NN[:, [k]] & reach_NN[[k], :]
  if not reach_NN.all():
    a, b = np.argwhere(~reach_NN)[0]
    raise ValueError(
      f'no finite Elo: no chain of wins leads from player {a} to player {b}; '
      'give more games, or count a tie between them'
    )
