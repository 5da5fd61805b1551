"""The attack of `make attack`: its outcomes, its memory, its page."""

import json
import random

import numpy as np
import pytest

from rlhf_jax import digests
from scripts import make_reliability_doc
from scripts.attack import flips, kills, records
from scripts.attack.trials import OUTCOMES, Trials, outcome_of, value_of


def raising(error):
  def call():
    raise error

  return call


@pytest.mark.parametrize(
  ('call', 'outcome'),
  [
    (lambda: 1, 'same'),
    (lambda: 2, 'silent'),
    (raising(ValueError('x.csv is damaged')), 'named'),
    (raising(ValueError('it is damaged')), 'unclear'),
    (raising(ValueError('x.csv is\ndamaged')), 'unclear'),
    (raising(KeyError('x.csv')), 'unclear'),
  ],
)
def test_an_outcome_is_what_a_reader_would_see(call, outcome):
  assert outcome_of(call, 1, ('x.csv',))[0] == outcome


def test_equal_values_are_equal_and_a_last_bit_is_not():
  x = np.float32([1.0, 2.0])
  tree = {'a': x, 'b': [3, 'text', None]}
  assert value_of(tree) == value_of({'a': x.copy(), 'b': [3, 'text', None]})
  other = x.copy()
  other[1] = np.nextafter(other[1], np.float32(9))
  assert value_of(tree) != value_of(tree | {'a': other})
  assert value_of(tree) != value_of(tree | {'b': [3, 'text', 0]})


def test_trials_are_remembered_and_a_half_line_is_not(tmp_path):
  trials = Trials(tmp_path)
  trials.add('flips', 'params', 0, 'named', 'x is damaged')
  trials.add('flips', 'params', 1, 'silent')
  with (tmp_path / 'trials.jsonl').open('a') as file:
    file.write('{"part": "fl')
  again = Trials(tmp_path)
  assert again.has('flips', 'params', 1) and not again.has('kills', 'pm', 1)
  counts = dict.fromkeys(OUTCOMES, 0) | {'named': 1, 'silent': 1}
  row = {'part': 'flips', 'kind': 'params', 'trials': 2}
  assert again.table() == [row | counts]


def test_sixty_spoiled_records_are_counted_or_named(tmp_path):
  trials = Trials(tmp_path)
  records.attack(trials, tmp_path, 60, lambda text: None)
  table = trials.table()
  assert sum(row['trials'] for row in table) == 60
  assert {row['kind'] for row in table} == set(records.WAYS)
  bad = [r for r in trials.rows if r['outcome'] in ('silent', 'unclear')]
  assert bad == []
  counted = sum(row['counted'] for row in table)
  assert counted > 40
  records.attack(trials, tmp_path, 60, lambda text: None)
  assert len(trials.rows) == 60


def test_a_reader_that_reads_on_is_silent(tmp_path, monkeypatch):
  """A reader that gave less than the good records would be found."""
  read = lambda file, on_error: ([], {'read': 0, 'kept': 0})
  monkeypatch.setattr(records, 'read_comparisons', read)
  lines, place = records.spoiled(random.Random(0), 'cut')
  assert records.outcome(tmp_path / 'x', lines, place)[0] == 'silent'


def test_a_flipped_bit_is_put_back_and_judged(tmp_path):
  path = tmp_path / 'x.json'
  path.write_text('[1, 2, 3]')
  read = lambda: digests.read_json(path)
  found = [
    flips._flipped(path, random.Random(i), read, value_of([1, 2, 3]))[0]
    for i in range(60)
  ]
  assert path.read_text() == '[1, 2, 3]'
  assert {'named', 'silent'} <= set(found) <= {'named', 'silent', 'same'}


class Dying:
  """A process that lives for some looks at it, or dies of a kill."""

  def __init__(self, folder, checkpoints):
    self._folder, self._left, self.exitcode = folder, list(checkpoints), None

  def is_alive(self):
    if not self._left:
      self.exitcode = 0
      return False
    (self._folder / self._left.pop(0)).mkdir(parents=True)
    return True

  def kill(self):
    self.exitcode = -9 if self.exitcode is None else self.exitcode

  def join(self):
    pass


@pytest.mark.parametrize(
  ('there', 'coming', 'dies'),
  [
    ([], ['2.tmp', '2', '4.tmp', '4'], True),
    (['2'], ['4.tmp'], True),
    (['2', '4.tmp'], ['4'], True),  # that was half-written when it was killed
    (['2'], [], False),
    (['2'], ['2.tmp'], False),
  ],
)
def test_a_kill_waits_for_a_checkpoint_that_was_not_there(
  tmp_path, monkeypatch, there, coming, dies
):
  folder = tmp_path / 'checkpoints'
  for name in there:
    (folder / name).mkdir(parents=True)
  process = Dying(folder, coming)
  monkeypatch.setattr(kills.study, 'start', lambda *args: process)

  class First(random.Random):
    def choice(self, options):
      return options[0]

  assert kills.killed(None, 'pm', tmp_path, First(0)) is dies


def test_a_run_is_killed_three_times_and_again_if_it_was_too_quick(
  tmp_path, monkeypatch
):
  """Seven kills: runs of 3, of 1 that then ended, of none, of 3."""
  answers = iter([1, 1, 1, 1, 0, 0, 1, 1, 1])
  monkeypatch.setattr(kills, 'params_of', lambda name, workdir: {})
  monkeypatch.setattr(kills, 'result_of', lambda workdir, params: 'x')
  monkeypatch.setattr(kills, 'killed', lambda *args: next(answers) == 1)
  monkeypatch.setattr(kills, '_resumed', lambda *args: ('same', ''))
  trials = Trials(tmp_path)
  for n in range(7):
    trials.add('kills', 'ppo', n, 'same')
  kills.attack(trials, tmp_path, tmp_path, 7, lambda text: None)
  table = {row['kind']: row['trials'] for row in trials.table()}
  assert table == {'ppo': 7, 'pm': 7} and next(answers, None) is None


def test_a_result_is_all_but_its_clock(tmp_path):
  params = {'w': np.ones(2)}
  for name, seconds in (('a', 1.0), ('b', 2.0)):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'pm_curve.csv').write_text('a\n1\n')
    done = digests.sealed({'seconds': seconds, 'accuracy': 0.5})
    (tmp_path / name / 'done.json').write_text(json.dumps(done))
  first, second = (kills.result_of(tmp_path / name, params) for name in 'ab')
  assert first == second and first['accuracy'] == 0.5
  assert kills.result_of(tmp_path / 'b', {'w': np.zeros(2)}) != first
  (tmp_path / 'b' / 'pm_curve.csv').write_text('a\n2\n')
  assert kills.result_of(tmp_path / 'b', params) != first


def test_the_page_has_the_committed_figures():
  text = make_reliability_doc.PAGE.read_text()
  file = make_reliability_doc.FIGURES
  found = json.loads(file.read_text()) if file.exists() else {'rows': []}
  assert make_reliability_doc.page(text, found) == text


def test_a_table_of_outcomes_ends_with_their_sums():
  row = {'part': 'kills', 'kind': 'pm', 'trials': 5}
  row |= dict.fromkeys(OUTCOMES, 1)
  drawn = make_reliability_doc.table(
    {'rows': [row, row], 'commit': 'abc', 'device': '1x cpu'}
  )
  assert '| all |  | 10 | 2 | 2 | 2 | 2 | 2 |' in drawn
  assert drawn.endswith('Commit abc, 1x cpu.')
