"""Choices of people out of a database: positions, and files that are others.

What a choice says is tested with its export (tests/apps).
"""

import sqlite3

import pytest

from rlhf_jax.data import said
from rlhf_jax.data.faults import DataError

SCHEMA = """
CREATE TABLE choices (id INTEGER PRIMARY KEY AUTOINCREMENT, nonce TEXT);
CREATE TABLE snapshots (id INTEGER PRIMARY KEY, uid TEXT, name TEXT);
CREATE VIEW comparisons AS SELECT id, nonce AS uid, 'helpful' AS task,
  'p' AS prompt, 'a' AS chosen, 'b' AS rejected, 4 AS strength,
  'lease/' || id AS about, 's1' AS chosen_snapshot, 's2' AS rejected_snapshot,
  CASE nonce WHEN 'known' THEN 1 END AS answer FROM choices;
PRAGMA user_version = 1;
"""


@pytest.fixture
def file(tmp_path):
  path = tmp_path / 'page.db'
  add(path, [], SCHEMA)
  return path


def add(path, nonces, script=''):
  db = sqlite3.connect(path)
  db.execute('PRAGMA journal_mode = WAL')
  db.executescript(script)
  rows = [(nonce,) for nonce in nonces]
  db.executemany('INSERT INTO choices (nonce) VALUES (?)', rows)
  db.commit()
  db.close()


def uids(found):
  return [choice.uid for choice in found.choices]


def test_a_reader_goes_on_behind_its_position(file):
  add(file, ['a', 'b', 'c'])
  found = said.read_new(file, {})
  assert uids(found) == ['a', 'b', 'c']
  position = said.position_of(found.choices[1])
  assert position == {'id': 2, 'uid': 'b'}
  assert uids(said.read_new(file, position)) == ['c']
  add(file, ['d'])
  assert uids(said.read_new(file, position)) == ['c', 'd']


def test_a_page_that_is_being_written_to_can_be_read(file):
  db = sqlite3.connect(file, isolation_level=None)
  db.execute('BEGIN IMMEDIATE')
  db.execute("INSERT INTO choices (nonce) VALUES ('half')")
  assert uids(said.read_new(file, {})) == []
  db.execute('COMMIT')
  assert uids(said.read_new(file, {})) == ['half']


def test_attention_items_are_never_read(file):
  add(file, ['a', 'known', 'b'])
  assert uids(said.read_new(file, {})) == ['a', 'b']


def test_the_conversation_is_what_replies_are_of(file):
  add(file, ['a'])
  (choice,) = said.read_new(file, {}).choices
  assert choice.conversation == 'lease'


def test_no_file_yet_is_no_choice_and_a_lost_one_is_an_error(tmp_path):
  assert said.read_new(tmp_path / 'x.db', {}) == said.Read([], {})
  with pytest.raises(DataError, match='is gone, of which choices up to 3 were'):
    said.read_new(tmp_path / 'x.db', {'id': 3, 'uid': 'c'})


def test_another_database_is_told_by_the_choice_at_the_position(file):
  add(file, ['a', 'b'])
  for position in ({'id': 2, 'uid': 'z'}, {'id': 9, 'uid': 'b'}):
    with pytest.raises(DataError, match='is not the database that was read'):
      said.read_new(file, position)


def test_files_of_others_are_said(tmp_path, file):
  (tmp_path / 'text.db').write_text('no database at all, but long enough' * 99)
  with pytest.raises(DataError, match='wanted a database of apps/feedback, go'):
    said.read_new(tmp_path / 'text.db', {})
  sqlite3.connect(file).execute('PRAGMA user_version = 2')
  with pytest.raises(DataError, match='of version 1, got 2: take the program'):
    said.read_new(file, {})


def test_no_two_snapshots_are_called_alike():
  names = {'0123456789': 'rl', 'abcdefghij': 'rl', 'k': 'lm'}
  assert said.unique(names) == {
    '0123456789': 'rl (012345)',
    'abcdefghij': 'rl (abcdef)',
    'k': 'lm',
  }
