"""Elo of snapshots against their PM scores, and where the gap comes from.

Sources: Bai et al. 2022, sections 2.4 and 4.5, appendices B.4 and B.5, Fig. 35.
A row of `snapshot_games` is a player against an opponent over many games, a row
of `snapshots` a player; both are of one run here, and of one of its two plays.
"""

import dataclasses

import numpy as np
import pandas as pd

from rlhf_jax.analysis import elo, fits

START = 'pi_0'


@dataclasses.dataclass(frozen=True)
class Ladder:
  """Snapshots of one run by what predicts and what judges them.

  Attributes:
    names: of the snapshots, pi_0 first, in order of training.
    gold: Elo over pi_0, of games that gold judged.
    gold_se: its standard error by the Hessian.
    choices: Elo over pi_0, of the games had the train PM judged them.
    margins: Elo over pi_0 that mean differences of train PM scores predict.
    converged: whether both fits did.
  """

  names: tuple[str, ...]
  gold: np.ndarray
  gold_se: np.ndarray
  choices: np.ndarray
  margins: np.ndarray
  converged: bool


def matrix(games: pd.DataFrame, names, column) -> np.ndarray:
  """[N, N] of a column, 0 where two players did not meet."""
  place = {name: i for i, name in enumerate(names)}
  found_NN = np.zeros((len(names), len(names)))
  for player, opponent, value in zip(
    games['player'], games['opponent'], games[column], strict=True
  ):
    found_NN[place[player], place[opponent]] = value
  return found_NN


def ladder(games: pd.DataFrame, names) -> Ladder:
  """The Ladder of the games of one run and play.

  Args:
    games: rows of snapshot_games.
    names: of the players, pi_0 first.

  Raises:
    ValueError: if there is no finite Elo; players that are isolated, unbeaten
      or without a win are named.
  """
  gold = elo.fit_elo(matrix(games, names, 'wins'), names=list(names))
  choices = elo.fit_elo(matrix(games, names, 'pm_wins'), names=list(names))
  margin_NN = matrix(games, names, 'train_margin')
  mean_N = elo.mean_ratings(margin_NN, matrix(games, names, 'games'))
  over = [gold.difference(i, 0) for i in range(len(names))]
  return Ladder(
    names=tuple(names),
    gold=np.array([difference for difference, _ in over]),
    gold_se=np.array([error for _, error in over]),
    choices=choices.rating_N - choices.rating_N[0],
    margins=elo.naive_elo(mean_N - mean_N[0]),
    converged=gold.converged and choices.converged,
  )


def order(snapshots: pd.DataFrame) -> list[str]:
  """Names of the players in order of training; pi_0 has no iterations."""
  return list(snapshots.sort_values('iteration')['player'])


def slope(score_N, elo_N) -> float:
  """Elo gained a unit of PM score, over what a calibrated one gains (173.72).

  The slope of the least-squares line: 1 where scores are log-odds of winning.
  """
  line = fits.line(score_N, elo_N)
  return float(line.coefficient_K[1] / elo.ELO_PER_LOGIT)


@dataclasses.dataclass(frozen=True)
class Gap:
  """How many Elo a snapshot has over pi_0, measured in four ways.

  Attributes:
    naive: 173.72 times its gain in train PM score on held-out prompts.
    mean: 173.72 times its gain on conversations, from differences of scores
      of two replies to one text.
    choices: of games that the train PM judges, in conversations.
    gold: of those games as gold judged them.
  """

  naive: float
  mean: float
  choices: float
  gold: float


def gap(snapshots: pd.DataFrame, games: pd.DataFrame) -> Gap:
  """The Gap of the last snapshot of one run.

  Args:
    snapshots: rows of the play 'prompts'.
    games: rows of the play 'dialogues'.

  Raises:
    ValueError: as of `ladder`.
  """
  names = order(snapshots)
  score = snapshots.set_index('player')['train_pm']
  found = ladder(games, names)
  return Gap(
    naive=float(elo.naive_elo(score[names[-1]] - score[START])),
    mean=float(found.margins[-1]),
    choices=float(found.choices[-1]),
    gold=float(found.gold[-1]),
  )
