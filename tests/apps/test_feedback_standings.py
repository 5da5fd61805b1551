"""Snapshots by what people chose: which choices are games."""

import math

import pandas as pd
import pytest
import said_fixture

from apps.feedback import progress, standings

PROMPT = '\n\nHuman: hi\n\nAssistant:'


@pytest.fixture
def made(tmp_path):
  return said_fixture.Maker(tmp_path / 'a.db')


def played(made, wins, losses, **item):
  """Games that 'new' wins or loses, each of a conversation of its own."""
  for n in range(wins + losses):
    made.choose(made.conversation(**item), box=8 if n < wins else 1)


def test_the_table_has_the_elo_of_three_wins_in_four(made):
  played(made, 3, 1)
  old, new = standings.table(made.db)
  assert (old['snapshot'], old['elo'], old['n']) == ('old', 0, 4)
  assert new['elo'] == pytest.approx(400 * math.log10(3))
  assert new['wins'] == 0.75 and new['low'] < new['elo'] < new['high']
  assert set(new) == {'snapshot', 'elo', 'low', 'high', 'wins', 'n', 'fit'}


def test_whichever_reply_was_asked_for_the_better_one_wins(made):
  """Who picks the more harmful reply of 'old' says that 'new' is better."""
  harm = {'task': 'red_team', 'direction': 'worse'}
  played(made, 1, 3, **harm)
  assert standings.table(made.db)[1]['wins'] == 0.75
  assert standings.table(made.db, 'helpful')[1]['n'] == 0
  assert standings.table(made.db, 'red_team')[1]['n'] == 4


def test_what_is_no_game_does_not_count(made):
  played(made, 1, 1)
  before = standings.table(made.db)
  lease = made.conversation()
  made.choose(lease, number=1, box=None, picked=0, rewrite=' Better.')
  made.choose(lease, number=2, box=1, writers=(1, 1))
  made.choose(lease, number=3, box=1, writers=(None, 2))
  known = {'kind': 'pair', 'prompt': '\n\nHuman: hi\n\nAssistant:'}
  played(made, 3, 0, reply_0=' yes', reply_1=' no', answer=0, **known)
  assert standings.table(made.db) == before


def test_a_database_without_choices_says_so(made):
  rows = standings.table(made.db)
  assert [row['n'] for row in rows] == [0, 0]
  assert rows[0]['fit'] == 'no games between snapshots yet'
  assert math.isnan(rows[0]['wins'])


def test_the_command_prints_and_writes_both_tables(made, tmp_path, capsys):
  played(made, 3, 1)
  standings.main([f'--db={tmp_path}/a.db', f'--to={tmp_path}/out'])
  said = capsys.readouterr().out
  assert 'Elo: converged' in said and '190.8' in said and 'win_rate' in said
  games = pd.read_csv(tmp_path / 'out' / 'deployed_games.csv')
  assert games['win_rate'].tolist() == [0.25, 0.75]
  with pytest.raises(SystemExit, match='error: there is no database'):
    standings.main([f'--db={tmp_path}/none.db'])


def test_a_folder_that_cannot_be_written_to_is_one_line(made, tmp_path):
  file, folder = tmp_path / 'file', tmp_path / 'out'
  file.write_text('')
  (folder / 'deployed.csv').mkdir(parents=True)
  for to in (file, file / 'below', folder):
    with pytest.raises(SystemExit) as found:
      standings.main([f'--db={tmp_path}/a.db', f'--to={to}'])
    said = str(found.value)
    assert said.startswith(f'error: wanted a folder to write to as --to={to}')
    assert said.endswith(': give another') and '\n' not in said


@pytest.mark.parametrize('pairs', [7, 8])
def test_agreement_on_few_pairs_has_no_interval(made, pairs):
  """A bootstrap over one pair would say that nothing is uncertain."""
  for n in range(pairs):
    turn = made.choose(made.conversation(), box=1)
    again = {'kind': 'pair', 'source_turn_id': turn, 'prompt': PROMPT}
    made.choose(made.conversation(2, **again), box=8 if n % 2 else 1)
  found = progress.agreement(made.db)
  assert found['items'] == pairs
  for name in ('alpha', 'kappa', 'agreement'):
    few = pairs < progress.FEWEST
    assert math.isfinite(found[name].mean)
    assert math.isnan(found[name].low) == math.isnan(found[name].high) == few


@pytest.mark.parametrize('third', [1, 8])
def test_kappa_is_of_all_votes_where_one_pair_has_a_third(made, third):
  """Two columns that share one pair alone have no kappa, or a wild one."""
  for n in range(9):
    box = 8 if n % 2 else 1
    turn = made.choose(made.conversation(), box=box)
    again = {'kind': 'pair', 'source_turn_id': turn, 'prompt': PROMPT}
    made.choose(made.conversation(2, **again), box=box)
  made.choose(made.conversation(1, **again), box=third)
  found = progress.agreement(made.db)
  # Of 22 ordered pairs of votes 4 are of the third one and differ, or none.
  apart, ones = (0, 8) if third == 1 else (4, 10)
  chance = (ones**2 + (22 - ones) ** 2) / 22**2
  assert found['agreement'].mean == pytest.approx(1 - apart / 22)
  assert found['kappa'].mean == pytest.approx(1 - apart / 22 / (1 - chance))
