"""The door to submitit, and what runs behind it."""

import json
import sys

import counting_stage
import fake_slurm
import pytest

from experiments.studies import beats, single, submit
from experiments.studies.job import mark, write_list

PLAIN = {'job_name': 'x', 'time': 7, 'additional_parameters': {'requeue': True}}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
  """The state of a fake SLURM, in which no task starts."""
  pytest.importorskip('submitit', reason='needs the extra slurm')
  for key, value in fake_slurm.install(tmp_path / 'slurm').items():
    monkeypatch.setenv(key, value)
  (tmp_path / 'slurm' / 'state' / 'hold').touch()
  yield tmp_path / 'slurm' / 'state'
  for task in fake_slurm.tasks(tmp_path / 'slurm' / 'state'):
    fake_slurm.put(tmp_path / 'slurm' / 'state', task, state='CANCELLED')


def test_several_files_are_an_array_and_one_is_a_job(cluster, tmp_path):
  send = lambda *files: submit.submit(print, files, tmp_path / 'a b', PLAIN)
  assert send('x.json', 'y.json') == ['7_0', '7_1']
  assert send('x.json') == ['8']
  first, second = fake_slurm.calls(cluster)
  assert '--array=0-1%2' in first and '--requeue' in first
  assert not any(word.startswith('--array') for word in second)
  assert '--time=7' in first and '--job-name=x' in first
  assert any(word.startswith(f'--output={tmp_path}/a b/') for word in first)
  [script] = (cluster).glob('8.sh')
  assert f'cd {submit.REPOSITORY}\n' in script.read_text()


def test_what_goes_back_into_the_queue_is_the_same_call(cluster):
  del cluster
  seen = []
  task = submit.Task(seen.append)
  assert task('x.json') is None and seen == ['x.json']
  again = task.checkpoint('x.json')
  assert again.function is task and again.args == ('x.json',)
  again.result()
  assert seen == ['x.json'] * 2


def test_a_wrong_parameter_or_a_refusal_is_one_line(cluster, tmp_path):
  with pytest.raises(ValueError, match='Unavailable parameter'):
    submit.submit(print, ['x'], tmp_path / 'a', PLAIN | {'colour': 1})
  (cluster / 'refuse').write_text('sbatch: error:\n  invalid qos\n')
  with pytest.raises(RuntimeError, match='^sbatch failed: .*invalid qos'):
    submit.submit(print, ['x'], tmp_path / 'a', PLAIN)


def test_without_submitit_it_says_how_to_get_it(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'submitit', None)
  message = r"needs submitit: pip install -e '.\[slurm\]', or choose --on=pool"
  with pytest.raises(RuntimeError, match=message):
    submit.submit(print, ['x'], tmp_path, PLAIN)


@pytest.fixture
def study(tmp_path):
  """The list of the counting study, and a file that names its job a."""
  root = tmp_path / 'study'
  mark(root, 'reproduce', {})
  write_list(root, counting_stage.study(root))
  file = tmp_path / 'a.json'
  file.write_text(json.dumps({'study': str(root), 'job': 'a'}))
  return root, file


def test_a_file_names_the_job_that_runs(study):
  root, file = study
  assert single.run_file(file) is None
  assert counting_stage.values(root) == {'a': f'1 {counting_stage.TEXT}'}
  assert beats.log_of(root, 'a').exists() and not beats.read(root, 'a')
  assert single.spent(root / 'a')['seconds'] > 0


@pytest.mark.parametrize(
  ('how', 'kind', 'why'),
  [
    ('x', 'error', 'no-a is in the way'),
    ('nan', 'error', 'a: loss is not finite at update 1'),
    ('memory', 'memory', 'MemoryError: '),
  ],
)
def test_a_job_that_fails_says_how_in_its_files(study, how, kind, why):
  root, file = study
  (root / 'no-a').write_text(how)
  with pytest.raises(SystemExit) as found:
    single.run_file(file)
  assert found.value.code == 2
  said = beats.read(root, 'a')
  assert (said['state'], said['kind']) == ('failed', kind)
  assert why in said['why'] and said['log'] == str(beats.log_of(root, 'a'))


def test_a_job_that_runs_before_its_turn_has_failed(study, tmp_path):
  root, file = study
  file.write_text(json.dumps({'study': str(root), 'job': 'c'}))
  with pytest.raises(SystemExit):
    single.run_file(file)
  assert 'c needs b, which is not done' in beats.read(root, 'c')['why']
