"""Tranches of what people said on the page: sides, positions, kills.

The database has the view and the tables that the reader asks for, and no more;
that the page's own has them is tested in tests/apps.
"""

import json
import sqlite3

import pytest
import shared_fixture as tiny

from experiments import make_tranche
from experiments.shared import comparisons, models, queued
from rlhf_jax.data.jsonl import read_comparisons
from rlhf_jax.train.about import RunError

WORDS = tiny.words()
SCHEMA = """
CREATE TABLE choices (id INTEGER PRIMARY KEY AUTOINCREMENT, nonce TEXT);
CREATE TABLE snapshots (id INTEGER PRIMARY KEY, uid TEXT, name TEXT);
INSERT INTO snapshots VALUES (1, 's1', 'old'), (2, 's2', 'new');
CREATE TABLE comparisons (id INTEGER, uid TEXT, task TEXT, prompt TEXT,
  chosen TEXT, rejected TEXT, strength INTEGER, about TEXT,
  chosen_snapshot TEXT, rejected_snapshot TEXT, answer INTEGER);
PRAGMA user_version = 1;
"""


@pytest.fixture
def config(tmp_path):
  """Settings of a round, beside a base tranche and a page of four choices."""
  base = tmp_path / 'base'
  base.mkdir()
  sides = {'train': [[tiny.prompt('draw 0 cats'), 'helpful']]}
  sides['test'] = [[tiny.prompt('draw 1 dogs'), 'helpful']]
  (base / 'prompts.json').write_text(json.dumps(sides))
  file = tmp_path / 'page.db'
  with sqlite3.connect(file) as db:
    db.executescript(SCHEMA)
  return {
    'role': 'tranche',
    'seed': 4,
    'half': 'all',
    'size': '3K',
    'kind': 'helpful',
    'source': 'helpful-online',
    'labels': 'queue',
    'queue': str(file),
    'comparisons_dir': str(base),
    'writer_dirs': ['W1', 'W2'],
    'before_dir': '',
    'pairs': 2,
    'test_pairs': 1,
    'max_prompt': 24,
    'max_reply': 40,
    'dtype': 'float32',
    'matmul': 'float32',
    'coin_flip_labels': False,
  }


def say(config, said, **more):
  """Adds a choice: yes over no, by the new snapshot over the old one."""
  row = {'task': 'helpful', 'chosen': ' yes!', 'rejected': ' no.'}
  row |= {'chosen_snapshot': 's2', 'rejected_snapshot': 's1', 'strength': 3}
  row |= more
  with sqlite3.connect(config['queue']) as db:
    cursor = db.execute("INSERT INTO choices (nonce) VALUES ('')")
    n = cursor.lastrowid
    db.execute('UPDATE choices SET nonce = ? WHERE id = ?', (f'c{n}', n))
    row |= {'id': n, 'uid': f'c{n}', 'about': row.get('about', f'a{n}/1')}
    row.setdefault('prompt', tiny.prompt(said))
    names, marks = ', '.join(row), ', '.join('?' * len(row))
    values = tuple(row.values())
    db.execute(f'INSERT INTO comparisons ({names}) VALUES ({marks})', values)


def prompts_of(items):
  return [x.chosen.split('Human: ')[1].split('\n')[0] for x in items]


CATS, DOGS = 'draw 0 cats', 'draw 1 dogs'  # to train on, and held out


def test_conversations_are_on_the_side_of_the_prompt_they_begin_with(config):
  later = tiny.prompt(CATS) + ' ok.' + tiny.prompt('draw 7 owls')
  say(config, '', prompt=later)
  say(config, CATS)
  say(config, DOGS)
  found = queued.take(config, {}, WORDS)
  assert prompts_of(found.sides['train']) == [CATS, CATS]
  assert prompts_of(found.sides['test']) == [DOGS]
  assert found.position == {'id': 3, 'uid': 'c3'}
  assert {x.source for x in found.sides['train']} == {'helpful-online'}


def test_of_other_conversations_the_share_of_a_round_is_held_out(config):
  """One in five: of 400 .2 +- four standard errors of .02."""
  side_of = queued.sides_of(config | {'pairs': 4, 'test_pairs': 1})
  own = [side_of(tiny.comparison(f'x {i}', ' a', ' b')) for i in range(400)]
  assert 0.12 < own.count('test') / 400 < 0.28
  again = queued.sides_of(config | {'pairs': 4, 'test_pairs': 1})
  assert own[7] == again(tiny.comparison('x 7', ' c', ' d'))


def test_a_round_takes_what_it_wants_and_leaves_the_rest(config):
  for said in (CATS, DOGS, CATS, CATS, DOGS):
    say(config, said)
  first = queued.take(config, {}, WORDS)
  assert first.position['id'] == 3 and len(first.sides['train']) == 2
  with pytest.raises(RunError, match='has 1 new helpful pairs to train on and'):
    queued.take(config, first.position, WORDS)
  say(config, CATS)
  second = queued.take(config, first.position, WORDS)
  assert second.position['id'] == 6


def test_what_is_no_pair_is_counted_and_the_other_kind_comes_along(config):
  say(config, CATS, strength=1)
  say(config, CATS, chosen=' same', rejected=' same')
  say(config, CATS, chosen=' 8.\n\nHuman: and owls?')
  say(config, CATS, task='red_team')
  for said in (CATS, CATS, DOGS):
    say(config, said)
  found = queued.take(config, {}, WORDS)
  assert found.counts == {
    'choices': 7,
    'weakest box': 1,
    'none in tokens': 1,
    'no dialogue': 1,
  }
  assert [x.kind for x in found.sides['train']] == [
    *('harmless', 'helpful', 'helpful')
  ]
  # All seven are choices between two snapshots, by name.
  assert len(found.games) == 7 and found.games[0][1:3] == ('new', 'old')
  assert found.players == ['old', 'new']


def test_a_rewrite_is_a_pair_and_no_game(config):
  say(config, CATS, strength=None, chosen_snapshot=None)
  say(config, CATS)
  say(config, DOGS)
  found = queued.take(config, {}, WORDS)
  assert len(found.sides['train']) == 2 and len(found.games) == 2


def test_who_waits_is_told_whom_to_serve(config):
  told = (
    'page.db has 0 new helpful pairs to train on and 0 to hold out, wanted 2 '
    'and 1: .*--policies=W1,W2 --db=.*page.db --max_prompt=24 --max_reply=40 se'
  )
  with pytest.raises(RunError, match=told):
    queued.take(config, {}, WORDS)
  with pytest.raises(RunError, match='has 0 new'):
    queued.take(config | {'queue': 'nowhere.db'}, {}, WORDS)


@pytest.fixture
def stage(config, monkeypatch):
  base = tiny.namespace(tokenizer=WORDS)
  monkeypatch.setattr(make_tranche, 'open_base', lambda *a, **k: base)
  assert models.open_base is not make_tranche.open_base
  return config


def of_round(folder):
  """Numbers of the choices in the data of a round."""
  files = sorted((folder / 'data' / 'helpful-online').glob('*.jsonl.gz'))
  found = [x for file in files for x in read_comparisons(file)[0]]
  return [int(x.chosen.rsplit(' ', 1)[1]) for x in found]


@pytest.mark.parametrize('killed', ['write_splits', 'finish', None])
def test_every_choice_is_in_exactly_one_round_however_often_one_begins(
  stage, tmp_path, monkeypatch, killed
):
  """A round is killed at a place, more is said, and it begins again."""
  tell = lambda said, n: say(stage, said, chosen=f' number {n}')
  for n, said in enumerate((CATS, DOGS, CATS), start=1):
    tell(said, n)

  def dies(*args, **kwargs):
    raise KeyboardInterrupt

  if killed:
    where = comparisons if killed == 'write_splits' else make_tranche.Run
    with monkeypatch.context() as patch:
      patch.setattr(where, killed, dies)
      with pytest.raises(KeyboardInterrupt):
        make_tranche.run(stage, tmp_path / 'r1')
  for n, said in enumerate((DOGS, CATS, CATS), start=4):
    tell(said, n)
  make_tranche.run(stage, tmp_path / 'r1')
  own = stage | {'before_dir': str(tmp_path / 'r1')}
  make_tranche.run(own, tmp_path / 'r2')
  assert sorted(of_round(tmp_path / 'r1')) == [1, 2, 3]
  assert sorted(of_round(tmp_path / 'r2')) == [4, 5, 6]
  position = json.loads((tmp_path / 'r2' / 'queue.json').read_text())
  assert position == {'id': 6, 'uid': 'c6'}


def test_a_round_leaves_pairs_and_who_won(stage, tmp_path):
  for said in (CATS, DOGS, CATS):
    say(stage, said)
  say(stage, CATS, chosen_snapshot='s1', rejected_snapshot='s2')
  make_tranche.run(stage | {'pairs': 3}, tmp_path / 'r1')
  sides = {s: comparisons.load_pairs(tmp_path / 'r1', s) for s in queued.SIDES}
  assert [len(sides[s].kind_N) for s in queued.SIDES] == [3, 1]
  rows = (tmp_path / 'r1' / 'deployed.csv').read_text().splitlines()
  assert rows[0].startswith('player,games,wins,elo')
  assert rows[2].startswith('new,4,3,190.8')  # 400 log10 3
  games = (tmp_path / 'r1' / 'deployed_games.csv').read_text()
  assert 'new,old,4,3,0.75' in games
