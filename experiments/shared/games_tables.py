"""Tables of games: snapshots, snapshot_games and game_replies."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from rlhf_jax.analysis import elo
from rlhf_jax.crowd.worlds import rules_of

DRAWS = 200  # of the bootstrap


class Game(NamedTuple):
  """One comparison of two replies to one text.

  Attributes:
    unit: number of the prompt or conversation that it is of.
    first: number of a player.
    second: number of the other one.
    won: whether the first is preferred.
    margin: train PM score of the first's reply less the second's.
  """

  unit: int
  first: int
  second: int
  won: bool
  margin: float


def repeats(words) -> float:
  """Share of the pairs of neighbouring words that stood there before."""
  pairs = list(zip(words, words[1:], strict=False))
  return 1 - len(set(pairs)) / len(pairs) if pairs else 0.0


def reply_rows(player, kinds, replies, scores, world):
  """Rows of game_replies of a player.

  Args:
    player: its name.
    kinds: of the N texts.
    replies: to them.
    scores: {train_pm, test_pm, gold}: score_N.
    world: a World, whose words of refusal are looked for.
  """
  declines, rows = rules_of(world).refusal_words, []
  for i, reply in enumerate(replies):
    words = reply.lower().replace('.', ' ').replace(',', ' ').split()
    row = {'player': player, 'prompt': i, 'kind': kinds[i]}
    row |= {'words': len(reply.split()), 'repeats': round(repeats(words), 4)}
    row |= {'refused': int(not declines.isdisjoint(words))}
    rows.append(row | {k: round(float(x[i]), 4) for k, x in scores.items()})
  return rows


def wins_of(names, games):
  """wins_RNN: of every unit, who beat whom.

  Args:
    names: of the players.
    games: [Game].
  """
  units = {unit: r for r, unit in enumerate({game.unit: 0 for game in games})}
  wins_RNN = np.zeros((len(units), len(names), len(names)))
  for game in games:
    pair = game.first, game.second
    winner, loser = pair if game.won else pair[::-1]
    wins_RNN[units[game.unit], winner, loser] += 1
  return wins_RNN


def rated(names, games):
  """Columns elo, elo_se, elo_se_bootstrap and fit, a value a player.

  Elo is over the first player, pi_0. `fit` says whether the likelihood was
  maximised, or why it could not be: then there is no Elo.
  """
  wins_RNN, none_N = wins_of(names, games), np.full(len(names), np.nan)
  try:
    fit = elo.fit_elo(wins_RNN.sum(0), names=list(names))
  except ValueError as error:
    columns = dict.fromkeys(('elo', 'elo_se', 'elo_se_bootstrap'), none_N)
    return columns | {'fit': [str(error)] * len(names)}
  draws = elo.bootstrap_elo(wins_RNN, np.random.default_rng(0), DRAWS)
  over = [fit.difference(i, 0) for i in range(len(names))]
  said = 'converged' if fit.converged else 'did not converge'
  if draws.failed:
    said += f'; {draws.failed} of {DRAWS} bootstrap draws have no fit'
  return {
    'elo': np.array([difference for difference, _ in over]),
    'elo_se': np.array([error for _, error in over]),
    'elo_se_bootstrap': np.array(
      [draws.error(i, 0) for i in range(len(names))]
    ),
    'fit': [said] * len(names),
  }


def iterations_of(name) -> int:
  """Iterations of a player: 24 of '@24', 0 of pi_0."""
  return int(name.partition('@')[2] or 0)


def snapshot_rows(play, names, replies, games):
  """Rows of snapshots: means over a player's replies, and its Elo.

  Args:
    play: 'prompts' or 'dialogues'.
    names: of the players.
    replies: rows of `reply_rows`, of all players.
    games: [Game].
  """
  columns = ['words', 'repeats', 'refused', 'train_pm', 'test_pm', 'gold']
  mean = pd.DataFrame(replies).groupby('player')[columns]
  mean, count = mean.mean(), mean.size()
  fit, rows = rated(names, games), []
  for i, name in enumerate(names):
    row = {'play': play, 'player': name, 'iteration': iterations_of(name)}
    row |= {'replies': int(count[name])}
    row |= {k: float(v) for k, v in mean.loc[name].items()}
    rows.append(row | {key: value[i] for key, value in fit.items()})
  return rows


def game_rows(play, names, games):
  """Rows of snapshot_games: both ways round, a row a pair of players.

  Args: as of `snapshot_rows`.
  """
  found = {}
  for game in games:
    score = 0.5 + 0.5 * np.sign(game.margin)
    one = np.array([1, game.won, score, game.margin])
    other = np.array([1, not game.won, 1 - score, -game.margin])
    for pair, own in (((0, 1), one), ((1, 0), other)):
      key = tuple((game.first, game.second)[i] for i in pair)
      found[key] = found.get(key, np.zeros(4)) + own
  return [
    {
      'play': play,
      'player': names[a],
      'opponent': names[b],
      'games': int(total[0]),
      'wins': int(total[1]),
      'pm_wins': float(total[2]),
      'train_margin': float(total[3] / total[0]),
    }
    for (a, b), total in found.items()
  ]


def writer_row(player, replies, ours, theirs, preferred_P):
  """A row of writer_games: a player against human writers, over P prompts.

  Args:
    player: its name.
    replies: of which the one of median score was taken.
    ours: {words, train_pm, gold}: value_P of the replies taken.
    theirs: {words, gold}: value_P of the writers'.
    preferred_P: probability that the crowd prefers ours.
  """
  row = {'player': player, 'iteration': iterations_of(player)}
  row |= {'prompts': len(preferred_P), 'replies': replies}
  row |= {'preferred': float(np.mean(preferred_P))}
  row |= {name: float(np.mean(x)) for name, x in ours.items()}
  return row | {f'writer_{k}': float(np.mean(x)) for k, x in theirs.items()}
