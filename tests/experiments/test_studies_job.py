"""Jobs, their list in a study's folder, and one of them run by itself."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import counting_stage
import pytest
from experiments_command import ROOT, error_line, finish

from experiments.studies.job import (
  Job,
  Resources,
  is_done,
  mark,
  read_list,
  spans,
  state_of,
  with_needs,
  write_list,
)
from experiments.studies.single import find, spent
from rlhf_jax.train import about

STUDIES = sorted((ROOT / 'experiments' / 'studies').glob('*.py'))


def test_planning_a_study_imports_no_jax():
  """Nor anything that imports it: a laptop without JAX can read a study."""
  names = [f'experiments.studies.{path.stem}' for path in STUDIES]
  code = f'import {", ".join(names)}, sys; print(*sys.modules)'
  loaded = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.split()
  assert set(names) <= set(loaded)
  assert not {'jax', 'jaxlib', 'orbax', 'flax', 'optax'} & set(loaded)


def test_jobs_come_with_what_they_need_each_once_and_in_order(tmp_path):
  jobs = counting_stage.study(tmp_path)
  names = [job.name for job in with_needs(jobs)]
  assert sorted(names) == ['B', 'a', 'b', 'c']
  assert names[0] == 'a' and names[-1] == 'c'


def test_two_different_jobs_of_one_name_are_an_error():
  job = Job('x', 'm', {'rate': 1, 'steps': 2})
  assert with_needs([job, dataclasses.replace(job)]) == [job]
  other = dataclasses.replace(job, config={'rate': 2, 'steps': 2})
  with pytest.raises(ValueError, match='are called x: they differ in rate$'):
    with_needs([job, other])
  needing = dataclasses.replace(job, needs=(Job('y', 'm', {}),), weight=2.0)
  with pytest.raises(ValueError, match='differ in needs, weight$'):
    with_needs([job, needing])


def test_a_list_that_was_written_is_the_list_that_is_read(tmp_path):
  jobs = with_needs(counting_stage.study(tmp_path))
  jobs[-1] = dataclasses.replace(
    jobs[-1], resources=Resources(gpus=2, hours=0.5), weight=3.0
  )
  numbers = write_list(tmp_path, jobs)
  assert read_list(tmp_path) == jobs
  assert numbers == {job.name: i for i, job in enumerate(jobs)}
  assert [x for x in tmp_path.iterdir() if x.name != 'jobs.json'] == []


def test_paths_in_the_list_are_relative_to_the_study(tmp_path):
  root, moved = tmp_path / 'one', tmp_path / 'another place'
  root.mkdir()
  config = {'out': f'{tmp_path}/one-more', 'deep': {'list': [f'{root}/a', 3]}}
  write_list(root, [Job('x', 'm', config | {'in': f'{root}/lm/13K'})])
  [row] = json.loads((root / 'jobs.json').read_text())
  assert row['config'] == {
    'out': f'{tmp_path}/one-more',
    'deep': {'list': ['study:a', 3]},
    'in': 'study:lm/13K',
  }
  root.rename(moved)
  [job] = read_list(moved)
  assert job.config['in'] == f'{moved}/lm/13K'
  assert job.config['deep'] == {'list': [f'{moved}/a', 3]}
  assert job.config['out'] == config['out']


def test_a_number_that_was_given_stays(tmp_path):
  """It may be waiting in a queue when the study is planned anew."""
  jobs = {name: Job(name, 'm', {'seed': 0}) for name in 'abcd'}
  assert write_list(tmp_path, [jobs['a'], jobs['b']]) == {'a': 0, 'b': 1}
  changed = dataclasses.replace(jobs['b'], config={'seed': 1})
  found = write_list(tmp_path, [jobs['d'], changed, jobs['c']])
  assert found == {'a': 0, 'b': 1, 'd': 2, 'c': 3}
  assert read_list(tmp_path) == [jobs['a'], changed, jobs['d'], jobs['c']]


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    (None, 'has no jobs.json: the script that plans the study writes it'),
    ('[{"name": ', 'cannot read .*jobs.json'),
    ('[{"name": "x"}]', "cannot read .*jobs.json: KeyError.'needs'"),
  ],
)
def test_a_list_that_is_missing_or_broken_is_one_line(tmp_path, text, message):
  if text:
    (tmp_path / 'jobs.json').write_text(text)
  with pytest.raises(about.RunError, match=message):
    read_list(tmp_path)


def test_the_root_of_a_sweep_is_that_of_a_study(tmp_path):
  root = tmp_path / 'sweep'
  mark(root, 'sweep', {'stage': 'pm'})
  assert about.study_of(root / 'seed=0') == root
  before = (root / 'config.json').read_text()
  mark(root, 'sweep', {'stage': 'pm'})
  assert (root / 'config.json').read_text() == before
  with pytest.raises(about.RunError, match='holds another study: choose anot'):
    mark(root, 'sweep', {'stage': 'ppo'})
  kind = about.About('train_pm', 'preference model')._asdict()
  (root / 'config.json').write_text(json.dumps(kind | {'config': {}}))
  with pytest.raises(about.RunError, match='holds another preference model'):
    mark(root, 'sweep', {})


def test_the_state_of_a_job_is_what_its_directory_says(tmp_path):
  mark(tmp_path, 'sweep', {'stage': 'pm'})
  config = {'seed': 0, 'sizes': ('3K',), 'lm_dir': f'{tmp_path}/lm'}
  job = Job('pm/x', 'm', config)
  assert state_of(job, tmp_path) == 'to do'
  path = tmp_path / 'pm' / 'x'
  path.mkdir(parents=True)
  kind = about.About('train_pm', 'preference model')._asdict()
  row = kind | {'config': about.store(config, tmp_path), 'row': {}}
  (path / 'config.json').write_text(json.dumps(row))
  assert state_of(job, tmp_path) == 'begun' and not is_done(job, tmp_path)
  (path / 'done.json').write_text('{}')
  assert state_of(job, tmp_path) == 'done' and is_done(job, tmp_path)
  other = dataclasses.replace(job, config=config | {'seed': 1})
  assert state_of(other, tmp_path) == 'other'
  watched = dataclasses.replace(job, config=config | {'loggers': ['wandb']})
  assert state_of(watched, tmp_path) == 'done'


@pytest.mark.parametrize(
  ('numbers', 'text'),
  [([], ''), ([3], '3'), ([0, 1], '0-1'), ([5, 3, 4, 0, 9], '0,3-5,9')],
)
def test_numbers_are_written_as_slurm_reads_them(numbers, text):
  assert spans(numbers) == text


@pytest.fixture
def study(tmp_path):
  """The list of the counting study, with nothing done."""
  root = tmp_path / 'the study'
  mark(root, 'reproduce', {})
  write_list(root, counting_stage.study(root))
  return root


def alone(root, *flags):
  """`python -m experiments.job`, where the counting stage can be imported."""
  here = pathlib.Path(__file__).parent
  return finish(
    subprocess.Popen(
      [sys.executable, '-m', 'experiments.job', f'--study={root}', *flags],
      cwd=ROOT,
      env=os.environ | {'PYTHONPATH': f'{ROOT}{os.pathsep}{here}'},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
  )


def test_a_job_runs_by_number_or_by_name_once_what_it_needs_is_done(study):
  line = error_line(alone(study, '--name=b'))
  assert line == 'error: b needs a, which is not done: run --index=0 first'
  done = alone(study, '--index=0')
  assert done.returncode == 0 and done.stdout == 'a is done\n'
  (study / 'no-b').touch()
  line = error_line(alone(study, '--name=b'))
  assert line == f'error: {study}/no-b is in the way'
  (study / 'no-b').unlink()
  moved = study.with_name('moved')
  shutil.move(study, moved)
  assert alone(moved, '--name=b').returncode == 0
  assert counting_stage.steps_of(moved, 'b') == [1, 2]
  assert spent(moved / 'b')['seconds'] > 0
  assert alone(moved, '--name=b').returncode == 0
  assert counting_stage.steps_of(moved, 'b') == [1, 2]


@pytest.mark.parametrize(
  ('asked', 'message'),
  [
    ({'index': 4}, '--index=4: wanted 0 to 3'),
    ({'index': -1}, '--index=-1: wanted 0 to 3'),
    ({'name': 'cc'}, "no job is called 'cc': did you mean c?"),
    ({}, 'one of --index and --name is required'),
    ({'index': 0, 'name': 'a'}, 'one of --index and --name is required'),
  ],
)
def test_a_job_that_there_is_not_is_one_line(study, asked, message):
  with pytest.raises(ValueError, match=message.replace('?', '.')):
    find(study, **asked)
