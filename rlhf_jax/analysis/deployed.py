"""Win rates and Elo of deployed snapshots, by the choices of people.

Of two replies to one text one was preferred: where two snapshots wrote them,
that is a game (Bai et al. 2022, sections 2.3 and 2.4). Games of one
conversation share its text and its worker, so the conversation is the unit of
every interval.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rlhf_jax.analysis import elo
from rlhf_jax.analysis.intervals import Interval, wilson_interval

DRAWS = 200  # of the bootstrap
Z = 1.959964  # of 95 %


class Game(NamedTuple):
  """A choice between replies of two snapshots.

  Attributes:
    conversation: that it is of.
    first: name of the snapshot whose reply was shown first.
    second: name of the other one.
    won: whether the first is preferred.
  """

  conversation: int | str
  first: str
  second: str
  won: bool


class Rated(NamedTuple):
  """A snapshot among the others.

  Attributes:
    name: of the snapshot.
    games: against others.
    wins: of those.
    elo: over the first snapshot, with its 95 % interval; NaN where there is no
      finite fit. `elo.n` counts conversations.
  """

  name: str
  games: int
  wins: int
  elo: Interval


class Met(NamedTuple):
  """A snapshot against another one; both ways round are two of these.

  Attributes:
    player: name of a snapshot.
    opponent: name of another one.
    games: of the two.
    wins: of the player.
    rate: share of wins with its 95 % interval; `rate.n` counts conversations.
  """

  player: str
  opponent: str
  games: int
  wins: int
  rate: Interval


@dataclasses.dataclass(frozen=True)
class Standings:
  """Snapshots as people prefer them.

  Attributes:
    players: a Rated of every snapshot, in the order that was asked for.
    pairs: a Met of every two that met, both ways round.
    fit: whether the likelihood was maximised, or why there is no finite Elo:
      players that are isolated, unbeaten or without a win are named.
  """

  players: tuple[Rated, ...]
  pairs: tuple[Met, ...]
  fit: str


def standings(
  games: Iterable[Game],
  names: Sequence[str] = (),
  seed: int = 0,
  draws: int = DRAWS,
) -> Standings:
  """The Standings after some games.

  Elo is by maximum likelihood (`elo.fit_elo`). Its interval is

    difference -+ 1.96 max(s_H, s_B)

  with s_H of the Hessian, which takes games for independent, and s_B of a
  bootstrap over conversations, which does not, but is too small where there are
  few of them.

  Args:
    games: those of a snapshot against itself say nothing and are left out.
    names: of the snapshots, the one that Elo is over first; (): those that
      played, in order of their names.
    seed: of the bootstrap.
    draws: of the bootstrap.

  Raises:
    ValueError: if a game has a player that `names` lacks.
  """
  games = [game for game in games if game.first != game.second]
  played = {name for game in games for name in (game.first, game.second)}
  names = list(names) or sorted(played)
  if played - set(names):
    raise ValueError(
      f'wanted games of {", ".join(names)}, got one of '
      f'{min(played - set(names))}: name all snapshots that played'
    )
  wins_RNN = _wins(games, names)
  over, fit = _elo(wins_RNN, names, seed, draws)
  wins_NN = wins_RNN.sum(0)
  players = [
    Rated(name, int((wins_NN + wins_NN.T)[i].sum()), int(wins_NN[i].sum()), own)
    for i, (name, own) in enumerate(zip(names, over, strict=True))
  ]
  pairs = [
    _met(names, wins_RNN, i, j)
    for i in range(len(names))
    for j in range(len(names))
    if wins_NN[i, j] + wins_NN[j, i]
  ]
  return Standings(tuple(players), tuple(pairs), fit)


def win_rate(won_R, games_R) -> Interval:
  """Share of games won, with Wilson's interval for dependent games.

    p = sum w / sum g
    v = R / (R - 1) sum (w_r - p g_r)^2 / (sum g)^2,   R conversations
    n = min(sum g, p (1 - p) / v)

  and Wilson's interval of p and n: games of one conversation count as fewer if
  they agree more than chance would have it. Where all games end alike v says
  nothing, and n is R.

  Reference: Korn and Graubard 1998, Survey Methodology 24, for such an n.

  Args:
    won_R: games won, of each conversation.
    games_R: games; conversations of none are left out.
  """
  won_R, games_R = np.asarray(won_R, float), np.asarray(games_R, float)
  won_R, games_R = won_R[games_R > 0], games_R[games_R > 0]
  count, total = len(games_R), games_R.sum()
  if not count:
    return Interval(math.nan, math.nan, math.nan, 0)
  p = won_R.sum() / total
  n = float(count)
  if count > 1 and 0 < p < 1:
    square = ((won_R - p * games_R) ** 2).sum() / total**2
    variance = square * count / (count - 1)
    n = min(total, p * (1 - p) / variance) if variance else total
  found = wilson_interval(p * n, n)
  return Interval(p, found.low, found.high, count)


def player_rows(found: Standings) -> list[dict]:
  """Rows of the table `deployed`: a snapshot each."""
  return [
    {
      'player': x.name,
      'games': x.games,
      'wins': x.wins,
      'elo': x.elo.mean,
      'elo_low': x.elo.low,
      'elo_high': x.elo.high,
      'conversations': x.elo.n,
      'fit': found.fit,
    }
    for x in found.players
  ]


def pair_rows(found: Standings) -> list[dict]:
  """Rows of the table `deployed_games`: a snapshot against another one."""
  return [
    {
      'player': x.player,
      'opponent': x.opponent,
      'games': x.games,
      'wins': x.wins,
      'win_rate': x.rate.mean,
      'win_rate_low': x.rate.low,
      'win_rate_high': x.rate.high,
    }
    for x in found.pairs
  ]


def _wins(games, names):
  """wins_RNN: of every conversation, who beat whom."""
  place = {name: i for i, name in enumerate(names)}
  units = {unit: r for r, unit in enumerate({g.conversation: 0 for g in games})}
  wins_RNN = np.zeros((len(units), len(names), len(names)))
  for game in games:
    both = place[game.first], place[game.second]
    winner, loser = both if game.won else both[::-1]
    wins_RNN[units[game.conversation], winner, loser] += 1
  return wins_RNN


def _elo(wins_RNN, names, seed, draws):
  """([Interval], what is said of the fit)."""
  R, none = len(wins_RNN), [math.nan] * 3
  if not R:
    return [Interval(*none, 0)] * len(names), 'no games between snapshots yet'
  try:
    fit = elo.fit_elo(wins_RNN.sum(0), names=names)
  except ValueError as error:
    return [Interval(*none, R)] * len(names), str(error)
  drawn = elo.bootstrap_elo(wins_RNN, np.random.default_rng(seed), draws)
  said = 'converged' if fit.converged else 'did not converge'
  if drawn.failed:
    said += f'; {drawn.failed} of {draws} bootstrap draws have no fit'
  found = []
  for i in range(len(names)):
    mean, error = fit.difference(i, 0)
    if len(drawn.rating_DN) > 1:
      error = max(error, drawn.error(i, 0))
    found.append(Interval(mean, mean - Z * error, mean + Z * error, R))
  return found, said


def _met(names, wins_RNN, i, j):
  """The Met of two players."""
  won_R, lost_R = wins_RNN[:, i, j], wins_RNN[:, j, i]
  rate = win_rate(won_R, won_R + lost_R)
  games = int(won_R.sum() + lost_R.sum())
  return Met(names[i], names[j], games, int(won_R.sum()), rate)
