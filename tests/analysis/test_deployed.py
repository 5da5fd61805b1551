"""Win rates and Elo of deployed snapshots: closed forms, and what is named."""

import math

import numpy as np
import pytest

from rlhf_jax.analysis import deployed, elo
from rlhf_jax.analysis.deployed import Game
from rlhf_jax.analysis.intervals import wilson_interval


def games(first, second, won, lost, start=0):
  """Games of two, each of a conversation of its own; half shown either way."""
  found = []
  for n in range(won + lost):
    wins = n < won
    pair = (first, second) if n % 2 else (second, first)
    found.append(Game(start + n, *pair, wins == (pair[0] == first)))
  return found


def test_elo_of_two_is_that_of_their_win_rate_whichever_was_shown_first():
  """15 of 20: 400 log10 3 = 190.85; the Hessian's error 173.72/sqrt(15/4)."""
  found = deployed.standings(games('b', 'a', 15, 5))
  a, b = found.players
  assert (a.name, a.games, a.wins) == ('a', 20, 5)
  assert (b.name, b.games, b.wins) == ('b', 20, 15)
  assert a.elo.mean == 0 and b.elo.mean == pytest.approx(400 * math.log10(3))
  least = 1.96 * elo.ELO_PER_LOGIT / math.sqrt(20 * 0.75 * 0.25)
  assert b.elo.high - b.elo.mean >= least - 0.01
  assert b.elo.n == 20
  assert found.fit.startswith('converged')


def test_elo_is_over_the_first_snapshot_that_is_named():
  played = games('b', 'a', 15, 5)
  found = deployed.standings(played, ['b', 'a'])
  assert [x.name for x in found.players] == ['b', 'a']
  assert found.players[1].elo.mean == pytest.approx(-400 * math.log10(3))
  with pytest.raises(ValueError, match='games of b, got one of a: name all'):
    deployed.standings(played, ['b'])


def test_games_against_oneself_say_nothing():
  alike = [Game(99 + n, 'a', 'a', True) for n in range(50)]
  both = games('a', 'b', 6, 4)
  assert deployed.standings(both + alike) == deployed.standings(both)


@pytest.mark.parametrize(
  ('played', 'names', 'said'),
  [
    (games('a', 'b', 5, 0), (), 'a is unbeaten, b is without a win'),
    (games('a', 'b', 5, 2), ('a', 'b', 'c'), 'c is isolated'),
    ([], ('a', 'b'), 'no games between snapshots yet'),
  ],
)
def test_who_has_no_elo_is_named(played, names, said):
  found = deployed.standings(played, names)
  assert said in found.fit
  assert all(math.isnan(x.elo.mean) for x in found.players)


def test_win_rates_stand_both_ways_round():
  found = deployed.standings(games('a', 'b', 6, 4))
  ab, ba = found.pairs
  assert (ab.player, ab.opponent, ab.games, ab.wins) == ('a', 'b', 10, 6)
  assert ab.rate.mean + ba.rate.mean == pytest.approx(1)
  assert ab.rate.low == pytest.approx(1 - ba.rate.high)


def test_games_that_are_independent_have_nearly_wilsons_interval():
  """One game a conversation: v = p (1 - p) / (R - 1), so that n = R - 1."""
  found = deployed.win_rate([1] * 30 + [0] * 10, [1] * 40)
  wanted = wilson_interval(0.75 * 39, 39)
  assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
  assert found.mean == 0.75 and found.n == 40


def test_games_of_one_conversation_that_agree_count_once():
  """Four games each, all four alike: as many as there are conversations."""
  found = deployed.win_rate([4] * 30 + [0] * 10, [4] * 40)
  single = deployed.win_rate([1] * 30 + [0] * 10, [1] * 40)
  assert (found.low, found.high) == pytest.approx((single.low, single.high))
  balanced = deployed.win_rate([3, 3, 3, 3], [4, 4, 4, 4])
  most = wilson_interval(12, 16)
  assert (balanced.low, balanced.high) == pytest.approx((most.low, most.high))


def test_a_clean_sweep_has_the_interval_of_its_conversations():
  found, wanted = deployed.win_rate([4, 4, 4], [4, 4, 4]), wilson_interval(3, 3)
  assert found.mean == 1 and found.low == pytest.approx(wanted.low)
  assert math.isnan(deployed.win_rate([0], [0]).mean)


def test_elo_intervals_cover_though_games_of_a_conversation_agree():
  """120 conversations of 3 games; a worker's taste shifts all three.

  The truth is 400 log10 of the odds of the mean win rate. Of 40 studies 38
  should cover; 33 is four standard errors below.
  """
  rng, covered, independent = np.random.default_rng(0), 0, 0
  for _ in range(40):
    shift_R = rng.normal(0, 2.0, 120)
    p_R = 1 / (1 + np.exp(-(0.5 + shift_R)))
    played = [
      Game(r, 'b', 'a', bool(rng.random() < p_R[r]))
      for r in range(120)
      for _ in range(3)
    ]
    b = deployed.standings(played, ['a', 'b'], draws=40).players[1]
    covered += b.elo.low < TRUTH < b.elo.high
    wins = sum(game.won for game in played)
    fit = elo.fit_elo([[0, 360 - wins], [wins, 0]])
    mean, error = fit.difference(1, 0)
    independent += abs(mean - TRUTH) < deployed.Z * error
  assert covered >= 33 and independent < covered


def _truth():
  """Elo of the mean of sigmoid(.5 + 2 x), x normal, by quadrature."""
  node_N, weight_N = np.polynomial.hermite_e.hermegauss(60)
  p_N = 1 / (1 + np.exp(-(0.5 + 2.0 * node_N)))
  return float(elo.elo_from_win_rate(p_N @ weight_N / weight_N.sum()))


TRUTH = _truth()


def test_rows_say_all_of_it():
  found = deployed.standings(games('a', 'b', 6, 4))
  rows = deployed.player_rows(found)
  assert [row['player'] for row in rows] == ['a', 'b']
  assert rows[0]['games'] == 10 and rows[1]['elo'] < 0
  assert rows[1]['elo_low'] < rows[1]['elo'] < rows[1]['elo_high']
  (one, other) = deployed.pair_rows(found)
  assert one['win_rate'] == 0.6 and other['wins'] == 4
