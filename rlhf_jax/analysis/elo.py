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
STEPS = 200  # of Newton's method at most; five or six are enough


@dataclasses.dataclass(frozen=True)
class EloFit:
  """Ratings in Elo, mean zero, with their covariance.

  Attributes:
    rating_N: in Elo.
    covariance_NN: from the Hessian, Elo squared.
    converged: whether the slope of the likelihood has vanished.
  """

  rating_N: np.ndarray
  covariance_NN: np.ndarray
  converged: bool = True

  def difference(self, a: int, b: int) -> tuple[float, float]:
    """(rating[a] - rating[b], its standard error)."""
    c = self.covariance_NN
    variance = c[a, a] + c[b, b] - 2 * c[a, b]
    return (
      float(self.rating_N[a] - self.rating_N[b]),
      math.sqrt(max(variance, 0.0)),
    )


@dataclasses.dataclass(frozen=True)
class EloDraws:
  """Ratings of resampled units, such as prompts.

  Attributes:
    rating_DN: of each draw that has ratings, in Elo, mean zero.
    failed: draws without: some player was unbeaten or never won in them, or
      the fit did not converge.
  """

  rating_DN: np.ndarray
  failed: int

  def error(self, a: int, b: int) -> float:
    """Standard deviation of rating[a] - rating[b] over the draws."""
    return float((self.rating_DN[:, a] - self.rating_DN[:, b]).std(ddof=1))


def fit_elo(wins_NN, ties_NN=None, names=None) -> EloFit:
  """Bradley-Terry ratings by Newton's method; errors from the Hessian.

    log L = sum_ij wins[i, j] log sigmoid(r_i - r_j),   Elo = 173.72 r

  A tie counts as half a win for each side. Only differences are identified:
  the mean rating is set to zero and the covariance is the pseudo-inverse of
  the Hessian.

  Args:
    wins_NN: [N, N] wins[i, j] = times that i beat j.
    ties_NN: [N, N] symmetric, ties[i, j] = ties between i and j.
    names: of the players, for errors; None: 'player 0' and so on.

  Raises:
    ValueError: if the maximum is not finite: some group of players never lost
      (or never played) against the others. Players who never played, never
      lost or never won are named.
  """
  wins_NN = np.array(wins_NN, float)
  if ties_NN is not None:
    wins_NN = wins_NN + np.asarray(ties_NN, float) / 2
  np.fill_diagonal(wins_NN, 0.0)
  _check_connected(wins_NN, names)
  rating_N, converged = _newton(wins_NN)
  games_NN = wins_NN + wins_NN.T
  p_NN = expit(rating_N[:, None] - rating_N[None, :])
  covariance_NN = np.linalg.pinv(_hessian(games_NN, p_NN))
  scale = ELO_PER_LOGIT
  return EloFit(scale * rating_N, scale**2 * covariance_NN, converged)


def bootstrap_elo(wins_RNN, rng: np.random.Generator, draws=200) -> EloDraws:
  """Fits of units that are drawn again with replacement.

  Games of one prompt share their replies, so that the Hessian, which takes
  games for independent, is not the last word on their errors.

  Args:
    wins_RNN: [R, N, N] wins of each of R units; a tie is half a win each.
    rng: NumPy generator.
    draws: how many.
  """
  wins_RNN = np.asarray(wins_RNN, float)
  R, N, _ = wins_RNN.shape
  count_DR = rng.multinomial(R, np.full(R, 1 / R), size=draws)
  found = []
  for wins_NN in np.einsum('dr,rij->dij', count_DR, wins_RNN):
    if _reach(wins_NN).all():
      rating_N, converged = _newton(wins_NN)
      if converged:
        found.append(ELO_PER_LOGIT * rating_N)
  return EloDraws(np.array(found).reshape(-1, N), draws - len(found))


def mean_ratings(margin_NN, games_NN) -> np.ndarray:
  """Ratings whose differences are closest to measured margins, mean zero.

    minimise  sum_ij games[i, j] (margin[i, j] - (x_i - x_j))^2

  Margins are mean differences of PM scores of two replies to one text: what
  `fit_elo` is to who won, this is to by how much. In the margins' unit.

  Args:
    margin_NN: [N, N] antisymmetric; whatever stands where nobody met.
    games_NN: [N, N] symmetric, meetings behind each.
  """
  games_NN = np.array(games_NN, float)
  np.fill_diagonal(games_NN, 0.0)
  total_N = (games_NN * np.nan_to_num(margin_NN)).sum(1)
  laplacian_NN = np.diag(games_NN.sum(1)) - games_NN
  return np.linalg.pinv(laplacian_NN) @ total_N


def _newton(wins_NN):
  """(log-odds ratings of mean zero, whether the likelihood's slope is 0)."""
  games_NN = wins_NN + wins_NN.T
  rating_N = np.zeros(len(wins_NN))
  for _ in range(STEPS):
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
  slope_N = (wins_NN - games_NN * p_NN).sum(1)
  return rating_N, bool(np.abs(slope_N).max() < 1e-6 * games_NN.sum())


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


def _reach(wins_NN):
  """Whether a chain of wins leads from i to j, [N, N]."""
  n = len(wins_NN)
  reach_NN = (wins_NN > 0) | np.eye(n, dtype=bool)
  for k in range(n):
    reach_NN |= reach_NN[:, [k]] & reach_NN[[k], :]
  return reach_NN


def _check_connected(wins_NN, names):
  """The maximum is finite iff wins lead from every player to every other."""
  reach_NN = _reach(wins_NN)
  if reach_NN.all():
    return
  names = names or [f'player {i}' for i in range(len(wins_NN))]
  won_N, lost_N = wins_NN.sum(1) > 0, wins_NN.sum(0) > 0
  kinds = {
    'isolated': ~won_N & ~lost_N,
    'unbeaten': won_N & ~lost_N,
    'without a win': lost_N & ~won_N,
  }
  said = [
    f'{names[i]} is {kind}'
    for kind, is_N in kinds.items()
    for i in is_N.nonzero()[0]
  ]
  a, b = np.argwhere(~reach_NN)[0]
  why = f' ({", ".join(said)})' if said else ''
  raise ValueError(
    f'no finite Elo: no chain of wins leads from {names[a]} to {names[b]}'
    f'{why}; give more games, or count a tie between them'
  )
