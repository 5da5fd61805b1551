"""One list of jobs on every launcher, half on one and half on another."""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import time
import types

import counting_stage
import fake_slurm
import pytest
from experiments_command import ROOT

from experiments.studies import clock, launch, listing, pool, slurm
from experiments.studies.job import (
  Job,
  Resources,
  mark,
  read_list,
  with_needs,
  with_resources,
  write_list,
)
from rlhf_jax.train.about import RunError

HERE = pathlib.Path(__file__).parent
VALUES = {'a': 1, 'b': 2, 'B': 2, 'c': 5}
VALUES = {name: f'{n} {counting_stage.TEXT}' for name, n in VALUES.items()}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
  """The state of a fake SLURM that is on the PATH."""
  pytest.importorskip('submitit', reason='needs the extra slurm')
  folder = tmp_path / 'slurm'
  for key, value in fake_slurm.install(folder).items():
    monkeypatch.setenv(key, value)
  monkeypatch.setenv('PYTHONPATH', f'{ROOT}{os.pathsep}{HERE}')
  return folder / 'state'


@pytest.fixture
def root(tmp_path):
  """A study in a folder whose name a shell would take apart."""
  folder = tmp_path / 'a $study & (more)'
  mark(folder, 'reproduce', {})
  return folder


def run(root, on, **changes):
  options = launch.Options(on, workers=2, poll=0.1)._replace(**changes)
  return launch.run(counting_stage.study(root), root, options)


def arrays(cluster):
  """How many tasks every call of sbatch has made."""
  numbers = [task.split('_')[0] for task in fake_slurm.tasks(cluster)]
  return [numbers.count(x) for x in sorted(set(numbers), key=int)]


def states(cluster):
  """How each task ended, once none is in the queue."""
  until = time.time() + 60
  while True:
    found = [row['state'] for row in fake_slurm.tasks(cluster).values()]
    if not {'PENDING', 'RUNNING'} & set(found):
      return found
    assert time.time() < until
    time.sleep(0.1)


@pytest.mark.slow  # processes; the other way round is quick
def test_a_study_begun_on_the_pool_goes_on_in_slurm(root, cluster, capsys):
  (root / 'no-c').touch()
  with pytest.raises(RunError, match='^c: .*no-c is in the way'):
    run(root, 'pool')
  (root / 'no-c').unlink()
  capsys.readouterr()
  assert run(root, 'slurm')
  assert counting_stage.values(root) == VALUES
  assert arrays(cluster) == [1]
  assert counting_stage.steps_of(root, 'c') == [1, 2]
  for name in 'abB':
    assert counting_stage.steps_of(root, name) == [3]
  said = capsys.readouterr().err
  assert '3 of 4 jobs are done, 0 in the queue' in said
  assert '[4/4] c in ' in said


def test_a_study_begun_in_slurm_goes_on_on_the_pool(root, cluster, capsys):
  """b fails, c waits for it in vain, and both are said by name."""
  (root / 'no-b').touch()
  with pytest.raises(RunError) as found:
    run(root, 'slurm')
  said = f'b: {root}/no-b is in the way (job 8_0, see {root}/logs/b.log)'
  assert str(found.value) == f'{said}; 1 that need them did not run'
  assert f'  failed: {said}\n' in capsys.readouterr().err
  assert arrays(cluster) == [1, 2, 1]
  (root / 'no-b').unlink()
  assert run(root, 'pool')
  assert counting_stage.values(root) == VALUES
  assert counting_stage.steps_of(root, 'b') == [1, 2]
  for name in 'aB':
    assert counting_stage.steps_of(root, name) == [3]


@pytest.mark.parametrize(
  'on',
  [pytest.param('pool', marks=pytest.mark.slow), 'slurm'],  # three pools
)
def test_a_study_goes_on_without_a_run_whose_numbers_are_not_finite(
  root, cluster, capsys, on
):
  """b stops, c needs it: a and B are done, and a second try is left to b."""
  (root / 'no-b').write_text('nan')
  assert run(root, on)
  done = {'a': VALUES['a'], 'B': VALUES['B']}
  assert counting_stage.values(root) == done
  said = capsys.readouterr().err
  assert 'stopped: b: loss is not finite at update 1 (delete ' in said
  (root / 'no-b').unlink()
  assert run(root, on)
  assert counting_stage.values(root) == done
  run(root, 'list')
  lines = capsys.readouterr().out.splitlines()
  assert [line.split()[1] for line in lines[:3]] == ['done', 'failed', 'done']
  (root / 'b' / 'failed.json').unlink()
  assert run(root, on)
  assert counting_stage.values(root) == VALUES


@pytest.mark.slow  # processes
def test_another_takes_over_for_a_worker_that_is_killed_while_it_waits(root):
  jobs, said = with_needs(counting_stage.study(root)), []
  workers = pool.Pool(1, root, root / 'cache', said.append)
  try:
    workers.run(jobs[:1])
    workers.processes[0].kill()
    workers.processes[0].join()
    workers.run(jobs)
  finally:
    workers.close()
  assert counting_stage.values(root) == VALUES
  assert [x for x in said if 'killed' in x] == [
    '  worker 0: its process was killed, another takes over'
  ]


def test_what_is_in_the_queue_is_watched_again_and_not_sent_twice(
  root, cluster, monkeypatch
):
  """Ctrl-C leaves the jobs to SLURM."""

  def interrupt(seconds):
    raise KeyboardInterrupt

  (cluster / 'hold').touch()
  with monkeypatch.context() as patch:
    patch.setattr(slurm.time, 'sleep', interrupt)
    message = '^4 jobs go on in SLURM: the same command .* scancel 7 8 9 ends'
    with pytest.raises(RunError, match=message):
      run(root, 'slurm')
  (cluster / 'hold').unlink()
  assert run(root, 'slurm')
  assert len(fake_slurm.calls(cluster)) == 3
  assert counting_stage.values(root) == VALUES
  assert states(cluster) == ['COMPLETED'] * 4


def test_a_silent_queue_is_asked_again_and_then_left_alone(
  root, cluster, capsys
):
  (cluster / 'silent').write_text('3')
  with pytest.raises(RunError, match='squeue failed .1.: slurm_load_jobs err'):
    run(root, 'slurm')
  (cluster / 'silent').write_text('0')
  watched = slurm.Slurm(root, 0.01, (2, 1, 24), launch.report)
  watched.waiting = {'c': None}
  (cluster / 'silent').write_text('2')
  assert watched._look() == {}
  assert capsys.readouterr().err.count('Unable to contact') == 2
  (cluster / 'silent').write_text(str(slurm.SILENCE))
  with pytest.raises(RuntimeError, match='failed 10 times: 1 jobs go on in SL'):
    watched._look()


def test_jobs_that_can_never_run_are_taken_out_of_the_queue(root, cluster):
  """On a cluster that keeps them there, for ever."""
  (root / 'no-a').touch()
  (cluster / 'keep').touch()
  with pytest.raises(RunError, match='^a: .*; 3 that need them did not run$'):
    run(root, 'slurm')
  assert states(cluster) == ['FAILED', *['CANCELLED'] * 3]


def test_what_waits_for_a_run_that_failed_is_sent_again(root, cluster):
  """b can never run, and c waits for it, when the study goes on."""
  (root / 'no-a').touch()
  (cluster / 'keep').touch()
  jobs = with_needs(counting_stage.study(root))
  numbers = write_list(root, jobs)
  first = slurm.Slurm(root, 0.1, (2, 1, 24), launch.report)
  first._submit(jobs)
  until = time.time() + 60
  while 'Never' not in fake_slurm.tasks(cluster)['8_0']['reason']:
    assert time.time() < until
    time.sleep(0.1)
  (root / 'no-a').unlink()
  assert run(root, 'slurm')
  assert counting_stage.values(root) == VALUES
  assert numbers == {'a': 0, 'b': 1, 'B': 2, 'c': 3}
  assert len(fake_slurm.calls(cluster)) == 6


def test_a_job_that_sbatch_refuses_is_one_line(root, cluster):
  (cluster / 'refuse').write_text('sbatch: error: invalid partition specified')
  message = '^sbatch failed: .*sbatch: error: invalid partition specified'
  with pytest.raises(RunError, match=message):
    run(root, 'slurm')


def test_without_slurm_it_says_what_else_there_is(root, monkeypatch):
  monkeypatch.setenv('PATH', '/nowhere')
  message = 'there is no squeue here: .* choose --on=pool or --on=list'
  with pytest.raises(RunError, match=message):
    run(root, 'slurm')


def test_a_run_of_another_config_is_sent_again_and_refuses(root, cluster):
  """And no result of another setting is taken for that of this one."""
  assert run(root, 'slurm')
  assert states(cluster) == ['COMPLETED'] * 4
  jobs = counting_stage.study(root, steps=4)
  options = launch.Options('slurm', poll=0.1)
  with pytest.raises(
    RunError, match='^a: .* holds a run with another config .job 10, '
  ):
    launch.run(jobs, root, options)
  assert arrays(cluster)[3:] == [1, 2, 1]


def test_a_list_says_what_is_done_and_how_to_run_the_rest(
  root, capsys, monkeypatch
):
  assert not run(root, 'list')
  lines = capsys.readouterr().out.splitlines()
  columns = [line.split()[:5] for line in lines[:-1]]
  assert columns == [
    ['0', 'to', 'do', 'a', 'needs'],
    ['1', 'to', 'do', 'b', 'needs'],
    ['2', 'to', 'do', 'B', 'needs'],
    ['3', 'to', 'do', 'c', 'needs'],
  ]
  assert [line.split()[5] for line in lines[:-1]] == ['-', '0', '0', '1-2']
  assert lines[-1] == '0 of 4 jobs are done'
  command = lines[0][lines[0].index('python -m') :]
  monkeypatch.setenv('PYTHONPATH', f'{ROOT}{os.pathsep}{HERE}')
  words = [sys.executable, *shlex.split(command)[1:]]
  assert subprocess.run(words, cwd=ROOT, check=False).returncode == 0
  run(root, 'list')
  lines = capsys.readouterr().out.splitlines()
  assert lines[0].split()[:3] == ['0', 'done', 'a']
  assert lines[-1] == '1 of 4 jobs are done'


def test_a_list_has_columns_for_gpus_memory_and_hours(tmp_path):
  asked = Resources(gpus=2, gpu_bytes=13.3e9, hours=0.14)
  jobs = [Job('x', 'm', {}, resources=asked), Job('y', 'm', {})]
  write_list(tmp_path, jobs)
  first, second, _ = listing.lines_of(jobs, tmp_path)
  assert first.split()[4:11] == '2 GPUs 13.3 GB each 0.14 h'.split()
  assert second.split()[4:10] == '0 GPU - each 0.00 h'.split()


def test_jobs_that_ask_for_nothing_ask_for_what_the_flags_say(tmp_path):
  own = Resources(gpus=4)
  needed = Job('y', 'm', {})
  jobs = with_needs(
    [Job('x', 'm', {}, (needed,)), Job('z', 'm', {}, resources=own)]
  )
  made = with_resources(jobs, Resources(cpus=2))
  assert [job.resources.cpus for job in made] == [2, 2, 0]
  assert made[1].needs == (made[0],) and made[2] == jobs[2]
  assert with_resources(jobs, Resources()) == jobs


def test_a_study_is_handed_over_and_left_to_the_queue(root, cluster, capsys):
  """Given again it is not sent twice, and --on=slurm watches it."""
  jobs = counting_stage.study(root)
  launch.submit(jobs, root, launch.Options())
  assert arrays(cluster) == [1, 2, 1]
  waits = [row['after'] for row in fake_slurm.tasks(cluster).values()]
  assert waits == [[], ['7'], ['7'], ['8_0', '8_1']]
  assert states(cluster) == ['COMPLETED'] * 4
  assert counting_stage.values(root) == VALUES
  launch.submit(jobs, root, launch.Options())
  assert arrays(cluster) == [1, 2, 1]
  assert '4 of 4 jobs are done, 0 in the queue' in capsys.readouterr().err
  # What travels names the job, and no value of its config.
  [file] = (root / 'slurm' / 'jobs').glob('a.json')
  assert json.loads(file.read_text()) == {'study': str(root), 'job': 'a'}


class FakeLauncher:
  """Fails as it is told, a round after the other."""

  def __init__(self, *rounds):
    self.rounds, self.seconds = list(rounds), {}

  def run(self, jobs, after):
    self.failed, self.kinds = {}, self.rounds.pop(0)
    if self.kinds:
      self.failed = {name: f'{name}: {x}' for name, x in self.kinds.items()}
      raise RuntimeError('; '.join(self.failed.values()))

  def programs(self):
    return []


def rounds(launcher, most):
  """Lines that are said of rounds with this launcher."""
  jobs, said = [Job(name, 'm', {}) for name in 'ab'], []
  launch._rounds(launcher, jobs, lambda *_: None, most, said.append)
  return said


def test_what_was_killed_is_run_again_in_rounds():
  killed = {'a': 'signal', 'b': 'error'}
  made = FakeLauncher(killed, killed, {'b': 'error'})
  with pytest.raises(launch.FailedError, match='^b: error$'):
    rounds(made, 3)
  assert not made.rounds
  made = FakeLauncher({'a': 'time'}, {'a': 'memory'}, {})
  assert rounds(made, 2) == ['  again (1 of 2): a', '  again (2 of 2): a']


def test_a_run_is_tried_again_no_more_often_than_asked():
  for most in (0, 1, 2):
    made = FakeLauncher(*[{'a': 'signal'}] * 4)
    with pytest.raises(launch.FailedError, match='a: signal'):
      rounds(made, most)
    assert 4 - len(made.rounds) == 1 + most


def test_a_failure_without_a_kind_is_not_tried_again():
  """A queue that is silent, an interrupt: no job has failed."""
  made = FakeLauncher({'a': ''}, {})
  with pytest.raises(launch.FailedError):
    rounds(made, 5)
  assert len(made.rounds) == 1


def test_every_launcher_has_the_same_face(root):
  """And writes the same list, from which any other goes on."""
  for on, name in launch.ON.items():
    module = __import__(f'experiments.studies.{name}', fromlist=['launcher'])
    launcher = module.launcher(root, launch.Options(on, workers=0), print)
    assert launcher.seconds == {} and launcher.programs() == []
    launcher.close()
  write_list(root, counting_stage.study(root))
  before = (root / 'jobs.json').read_text()
  run(root, 'list')
  assert (root / 'jobs.json').read_text() == before
  assert [job.name for job in read_list(root)] == ['a', 'b', 'B', 'c']


@pytest.mark.slow  # processes
def test_one_bad_job_on_the_pool_stops_none_that_does_not_need_it(root, capsys):
  """b fails: B, its like, is done, and c, which needs b, does not run."""
  (root / 'no-b').touch()
  with pytest.raises(launch.FailedError) as found:
    run(root, 'pool')
  why = f'b: {root}/no-b is in the way (see {root}/logs/b.log)'
  assert found.value.failed == {'b': why, 'c': ''}
  assert str(found.value) == f'{why}; 1 that need them did not run'
  assert counting_stage.values(root).keys() == {'a', 'B'}
  said = capsys.readouterr().err
  assert f'  failed: {why}\n' in said and '[2/4] B in ' in said
  (root / 'no-b').unlink()
  assert run(root, 'pool')
  said = capsys.readouterr().err
  assert said.count(': done before, skipped') == 2
  assert 'a: done before, skipped' in said and '[4/4] c in ' in said


def test_a_worker_that_is_killed_costs_its_job_alone(root, monkeypatch, capsys):
  """The next job gets a new worker."""
  (root / 'lives_stage.py').write_text(
    'from pathlib import Path\n'
    'def run(config, workdir):\n'
    '  Path(workdir).mkdir()\n'
    '  (Path(workdir) / "done.json").write_text("{}")\n'
  )
  (root / 'dying_stage.py').write_text(
    'import os, signal\n'
    'def run(config, workdir):\n'
    '  print("died", flush=True)\n'
    '  os.kill(os.getpid(), signal.SIGKILL)\n'
  )
  jobs = [
    Job('dies', 'dying_stage', {}, weight=2.0),
    Job('lives', 'lives_stage', {}),
  ]
  monkeypatch.syspath_prepend(root)
  with pytest.raises(launch.FailedError) as found:
    launch.run(jobs, root, launch.Options('pool', workers=1, retries=1))
  log = root / 'logs' / 'dies.log'
  why = f'dies: its process was killed (see {log})'
  assert found.value.failed == {'dies': why}
  assert log.read_text() == 'died\n' * 2
  said = capsys.readouterr().err
  assert said.count(f'  failed: {why}\n') == 2
  assert said.count('  again (1 of 1): dies\n') == 1
  assert (root / 'lives' / 'done.json').exists()


def test_progress_names_a_run_once_and_says_the_time_left(root, monkeypatch):
  lines = []
  watched = pool.Pool.__new__(pool.Pool)
  watched.report = lambda text, passing: lines.append((text, passing))
  watched.running = {}
  for name, label in (('lm/13K', '13K'), ('pm/a', 'features of train')):
    told = [('progress', (label, 7, 150, 95.0))]
    watched.pipes = [types.SimpleNamespace(recv=told.pop)]
    watched.running[0] = Job(name, 'x', {})
    assert not watched._receive(0, None)
  assert lines == [
    ('  lm/13K: 7/150, 95 s left', True),
    ('  pm/a: features of train: 7/150, 95 s left', True),
  ]


def test_the_time_left_of_a_study_goes_by_what_its_jobs_should_take(
  monkeypatch,
):
  """Of 80 s a job of 20 is done after 10 s: 60 (10 + 8) / (20 + 8) are left."""
  ticks = iter([0, 10, 20, 40])
  monkeypatch.setattr(clock.time, 'time', lambda: next(ticks))
  jobs = [
    Job(name, 'x', {}, weight=w)
    for name, w in zip('abcd', (1, 2, 1, 5), strict=True)
  ]
  watch = clock.Clock(jobs[:3], 4)
  assert watch.line(jobs[3], 0.0) == '[1/4] d: done before, skipped'
  assert watch.line(jobs[0], 9.9) == (
    '[2/4] a in 9.9 s (10 s in all, about 39 s left)'
  )
  assert 'about 8 s left' in watch.line(jobs[1], 1.0)
  assert watch.line(jobs[2], 1.0) == '[4/4] c in 1.0 s (40 s in all)'
