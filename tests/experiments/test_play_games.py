"""Games of snapshots: their tables by hand, and the stage on tiny models."""

import numpy as np
import pandas as pd
import pytest
import tiny_stages as tiny

from experiments import play_games, train_ppo
from experiments.shared import games_tables, shown
from experiments.shared.games_tables import Game
from rlhf_jax.analysis import elo
from rlhf_jax.crowd.worlds import make_world
from rlhf_jax.train.about import RunError
from tests.test_configs import _config

NAMES = ['pi_0', '@2', '@9']


def three_players():
  """Four units: later snapshots win 3 of 4, the PM always prefers them."""
  games = []
  for unit in range(4):
    for a, b in ((0, 1), (0, 2), (1, 2)):
      games.append(Game(unit, a, b, unit == 0, float(a - b)))
  return games


def test_repeats_are_the_word_pairs_that_stood_there_before():
  assert games_tables.repeats('a b a b a'.split()) == 0.5
  assert games_tables.repeats('a b c'.split()) == 0
  assert games_tables.repeats(['a']) == games_tables.repeats([]) == 0


def test_a_reply_s_row_says_its_length_and_whether_it_declines():
  scores = {'train_pm': np.array([0.123456, 2.0]), 'gold': np.array([1.0, 0])}
  said = [' i cannot. i cannot.', ' it is 5.']
  kinds = ['harmless', 'helpful']
  rows = games_tables.reply_rows('@2', kinds, said, scores, make_world())
  assert rows[0] == {
    **{'player': '@2', 'prompt': 0, 'kind': 'harmless', 'words': 4},
    **{'repeats': round(1 / 3, 4), 'refused': 1},
    **{'train_pm': 0.1235, 'gold': 1.0},
  }
  assert (rows[1]['refused'], rows[1]['words']) == (0, 3)


def test_both_sides_of_a_pair_add_up():
  rows = games_tables.game_rows('prompts', NAMES, three_players())
  found = {(row['player'], row['opponent']): row for row in rows}
  assert len(rows) == 6 and {row['games'] for row in rows} == {4}
  for a, b in ((0, 1), (0, 2), (1, 2)):
    ours, theirs = (found[NAMES[i], NAMES[j]] for i, j in ((a, b), (b, a)))
    assert (ours['wins'], theirs['wins']) == (1, 3)
    assert (ours['pm_wins'], theirs['pm_wins']) == (0, 4)
    assert ours['train_margin'] == -theirs['train_margin'] == a - b


def test_elo_is_over_pi_0_with_both_errors():
  """3 of 4 games: log-odds of 3 between the first and the second, and so on.

  All three pairs at log-odds ln 3 are no Bradley-Terry ladder: the fit lies
  between.
  """
  columns = games_tables.rated(NAMES, three_players())
  wins = games_tables.wins_of(NAMES, three_players())
  assert wins.shape == (4, 3, 3) and wins.sum() == 12
  fit = elo.fit_elo(wins.sum(0))
  assert columns['elo'][0] == columns['elo_se'][0] == 0
  assert columns['elo'][2] == pytest.approx(fit.difference(2, 0)[0])
  assert columns['elo_se'][2] == pytest.approx(fit.difference(2, 0)[1])
  assert columns['elo_se_bootstrap'][2] > 0
  # Draws without the unit in which pi_0 wins: (3 / 4)^4 = .32 of them; those
  # of that unit alone, .004.
  text, _, rest = columns['fit'][0].partition('; ')
  assert text == 'converged' and 40 < int(rest.split()[0]) < 90


def test_who_is_unbeaten_is_said_in_the_table():
  games = [game._replace(won=False) for game in three_players()]
  replies = [
    {'player': name, 'words': 3, 'repeats': 0.0, 'refused': 0, 'gold': 1.0}
    | {'train_pm': i, 'test_pm': i}
    for i, name in enumerate(NAMES)
  ]
  rows = games_tables.snapshot_rows('prompts', NAMES, replies, games)
  assert [row['iteration'] for row in rows] == [0, 2, 9]
  assert all(np.isnan(row['elo']) for row in rows)
  assert '@9 is unbeaten' in rows[0]['fit']
  assert 'pi_0 is without a win' in rows[0]['fit']


def test_the_reply_of_median_score_is_taken_of_each_prompt():
  """Of five the third; empty ones do not count, of two the lower is taken."""
  replies = ['a', 'b', 'c', 'd', 'e', ' ', 'f', '', 'g', '  ']
  score_N = np.array([5.0, 1, 4, 2, 3, 9, 8, 7, 6, 5])
  assert shown.medians(replies, score_N, 5) == [4, 8]


def test_a_meeting_with_writers_is_a_row_of_means():
  ours = {'gold': np.array([1.0, 3.0]), 'words': [4, 5]}
  theirs = {'gold': np.array([0.0, 1.0]), 'words': [8, 9]}
  row = games_tables.writer_row('@9', 17, ours, theirs, np.array([0.5, 0.8]))
  assert row == {
    **{'player': '@9', 'iteration': 9, 'prompts': 2, 'replies': 17},
    **{'preferred': 0.65, 'gold': 2.0, 'words': 4.5},
    **{'writer_gold': 0.5, 'writer_words': 8.5},
  }


def test_games_want_a_simulated_world():
  config = _config('games', 'full_smoke')
  config['data'] |= {'source': 'hh'}
  with pytest.raises(
    RunError, match="wanted data.source 'simulated', got 'hh'"
  ):
    play_games.run(config, 'nowhere')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  path = tmp_path_factory.mktemp('games')
  tiny.prepare(path)
  train_ppo.run(tiny.ppo(path, snapshots=[1]), path / 'rl')
  return path


def config_of(root, **changes):
  return (
    _config('games', 'full_smoke')
    | tiny.CUT
    | {'comparisons_dir': f'{root}/comparisons', 'size': '3K'}
    | {'train_pm_dir': f'{root}/pm', 'test_pm_dir': f'{root}/pm'}
    | {'writer_names': ['pi_0', '@1', '@2']}
    | {'writer_dirs': [f'{root}/{x}' for x in ('lm', 'rl/snapshots/1', 'rl')]}
    | {'prompts': 12, 'talks': 3, 'turns': 2, 'sample_batch': 8}
    | {'writer_prompts': 6, 'writer_replies': 3}
    | {'dialogue_prompt': 64}
    | changes
  )


@pytest.mark.slow  # it trains a language model, a PM and a policy first
def test_the_stage_plays_both_plays_and_says_the_same_again(root):
  play_games.run(config_of(root), root / 'games')
  games = pd.read_csv(root / 'games' / 'snapshot_games.csv')
  assert set(games['play']) == {'prompts', 'dialogues'}
  on = games[games['play'] == 'prompts']
  assert len(on) == 6 and set(on['games']) == {12}
  talked = games[games['play'] == 'dialogues']
  assert len(talked) == 6 and talked['games'].between(3, 6).all()
  assert (games['wins'] <= games['games']).all()
  replies = pd.read_csv(root / 'games' / 'game_replies.csv.gz')
  assert len(replies) == 36
  # One PM is both PMs here, and margins on prompts are of these replies.
  np.testing.assert_allclose(replies['train_pm'], replies['test_pm'])
  mean = replies.groupby('player')['train_pm'].mean()
  margin = on.set_index(['player', 'opponent'])['train_margin']
  want = mean['@2'] - mean['pi_0']
  assert margin['@2', 'pi_0'] == pytest.approx(want, abs=2e-4)
  shots = pd.read_csv(root / 'games' / 'snapshots.csv')
  assert list(shots['player']) == 2 * ['pi_0', '@1', '@2']
  met = pd.read_csv(root / 'games' / 'writer_games.csv')
  assert list(met['player']) == ['pi_0', '@2'] and set(met['prompts']) == {6}
  assert met['preferred'].between(0, 0.3).all()  # of two steps of training
  # Experts are the same for both, and better than a model that knows nothing.
  assert met['writer_gold'].nunique() == 1
  assert (met['writer_gold'] > met['gold'] + 1).all()
  play_games.run(config_of(root), root / 'again')
  names = ('snapshots.csv', 'snapshot_games.csv', 'game_replies.csv.gz')
  for name in (*names, 'writer_games.csv'):
    same = [(root / x / name).read_bytes() for x in ('games', 'again')]
    assert same[0] == same[1], name


@pytest.mark.slow  # as above
def test_without_talks_there_are_no_dialogues(root):
  changes = {'talks': 0, 'writer_prompts': 0}
  play_games.run(config_of(root, **changes), root / 'prompts')
  assert not (root / 'prompts' / 'writer_games.csv').exists()
  games = pd.read_csv(root / 'prompts' / 'snapshot_games.csv')
  assert set(games['play']) == {'prompts'}
