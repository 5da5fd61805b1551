"""Seconds and programs of a study, over sessions and launchers."""

import json

import pytest

from experiments import reproduce
from experiments.reproduce import Ledger, stages_of
from experiments.studies import cost, registry
from rlhf_jax.train.about import About, RunError
from rlhf_jax.train.progress import time_text
from rlhf_jax.train.run import Run
from tests.test_configs import _config

ROW = {'program': 'lm_step', 'seconds': 2.0, 'count': 1}


def test_sessions_add_up_and_an_idle_one_adds_nothing(tmp_path):
  file = tmp_path / 'ledger.json'
  first = Ledger(file, {}).now(10.0, {'a': 4.0}, [ROW])
  assert first['seconds'] == 10.0 and first['jobs'] == {'a': 4.0}
  second = Ledger(file, {})
  assert second.now(3.0, {'a': 0.0}, [ROW]) == first
  total = second.now(8.0, {'a': 0.0, 'b': 5.0}, [ROW])
  assert total['seconds'] == 18.0 and total['jobs'] == {'a': 4.0, 'b': 5.0}
  assert [row['session'] for row in total['programs']] == [0, 1]
  assert json.loads(file.read_text()) == total


def test_a_session_is_counted_once_however_often_it_is_noted(tmp_path):
  ledger = Ledger(tmp_path / 'ledger.json', {})
  ledger.now(5.0, {'a': 4.0}, [ROW])
  total = ledger.now(9.0, {'a': 4.0, 'b': 3.0}, [ROW])
  assert total['seconds'] == 9.0 and len(total['programs']) == 1
  assert ledger.total == total


def test_jobs_that_ran_by_themselves_are_taken_in_once(tmp_path):
  file, spent = tmp_path / 'ledger.json', {'seconds': 6.0, 'programs': [ROW]}
  Ledger(file, {}).now(10.0, {'a': 4.0}, [])
  for _ in range(2):
    total = Ledger(file, {'a': spent, 'b': spent}).total
    assert total['seconds'] == 16.0 and total['jobs'] == {'a': 4.0, 'b': 6.0}
    assert [row['worker'] for row in total['programs']] == ['b']


def test_a_study_says_at_its_start_how_long_it_should_take():
  """Of what is left to do; nothing is said where no rate is known."""
  jobs = registry.all_jobs(_config('reproduce', 'headline'), '/study')
  first = [job for job in jobs if job.name in ('text', 'lm/197K')]
  seconds = sum(cost.seconds(job) for job in first) + 2 * cost.COMPILE
  assert reproduce.plan_text(jobs, first) == (
    f'{len(jobs)} jobs, 2 to do, about {time_text(seconds)} of two quiet cores'
  )
  assert 'about 3 h 4' in reproduce.plan_text(jobs, jobs)
  assert reproduce.plan_text(jobs, []) == f'{len(jobs)} jobs, 0 to do'
  jobs = registry.all_jobs(_config('reproduce', 'smollm2_rl'), '/study')
  assert reproduce.plan_text(jobs, jobs) == '12 jobs, 12 to do'


@pytest.mark.parametrize(
  'content',
  [
    b'[]',
    b'{}',
    b'\xff',
    b'{"seconds": "1", "jobs": {}, "programs": []}',
    b'{"seconds": 1, "jobs": {"a": "x"}, "programs": []}',
    b'{"seconds": 1, "jobs": {}, "programs": [3]}',
  ],
)
def test_a_damaged_ledger_is_named(tmp_path, content):
  file = tmp_path / 'ledger.json'
  file.write_bytes(content)
  with pytest.raises(RunError, match=str(file)) as error:
    Ledger(file, {})
  assert '\n' not in str(error.value)


def test_seconds_are_summed_by_stage():
  jobs = {'text': 1.0, 'lm/3K': 2.0, 'pm/rl-3K-mix-b-s0': 3.0}
  rows = stages_of(jobs | {'pm/rl-13K-mix-b-s1': 4.0})
  assert rows == [
    {'name': 'text', 'seconds': 1.0},
    {'name': 'lm/3K', 'seconds': 2.0},
    {'name': 'pm/rl', 'seconds': 7.0},
  ]


CONFIG = {
  'preset': 'classic',
  'themes': ['scaling'],
  'scaling': {'sizes': ['3K']},
  'seeds': [0],
  'pm': {'pairs': 64},
}


@pytest.mark.parametrize(
  ('changes', 'goes_on'),
  [
    ({'themes': ['scaling', 'online'], 'preset': 'full'}, True),
    ({'online': {'rounds': 3}, 'themes': ['online']}, True),
    ({'scaling': {'sizes': ['3K', '13K']}}, True),
    ({'seeds': [0, 1]}, False),
    ({'pm': {'pairs': 65}, 'themes': ['online']}, False),
    ({}, None),
  ],
)
def test_a_study_takes_on_themes_and_nothing_else(tmp_path, changes, goes_on):
  """Other seeds or stages are another study; the same config goes on."""
  kind = About('reproduce', 'study')
  with Run(tmp_path, CONFIG, row={'role': 'study'}, about=kind) as run:
    run.finish(seconds=1.0)
  config = CONFIG | changes
  reproduce.take_on_chapters(tmp_path, config)
  assert (tmp_path / 'done.json').exists() == (not goes_on)
  if goes_on is False:
    with pytest.raises(RunError, match='another config'):
      Run(tmp_path, config, row={'role': 'study'}, about=kind).__enter__()
  else:
    with Run(tmp_path, config, row={'role': 'study'}, about=kind) as run:
      assert run.done == (goes_on is None)


def test_a_study_that_is_running_takes_on_nothing(tmp_path):
  kind = About('reproduce', 'study')
  with Run(tmp_path, CONFIG, row={'role': 'study'}, about=kind):
    with pytest.raises(RunError, match='in use by another process'):
      reproduce.take_on_chapters(tmp_path, CONFIG | {'themes': ['online']})
    assert (tmp_path / 'config.json').exists()


def test_a_new_study_has_nothing_to_take_on(tmp_path):
  reproduce.take_on_chapters(tmp_path, CONFIG)
  assert list(tmp_path.iterdir()) == []
