"""What is asked of SLURM, and what is made of what it says; without a queue."""

import re

import counting_stage
import pytest

from experiments.studies import beats, launch, slurm
from experiments.studies import sbatch as asking
from experiments.studies.job import Job, Resources, with_needs

LIMITS = (2.0, 1.0, 24.0)


def test_arrays_share_needs_and_stand_after_what_they_need(tmp_path):
  jobs = with_needs(counting_stage.study(tmp_path))
  made = asking.arrays_of(jobs)
  assert [[job.name for job in array] for array in made] == [
    ['a'],
    ['b', 'B'],
    ['c'],
  ]


def test_programs_that_need_each_other_s_runs_are_no_circle():
  """Rounds: x1 -> y1 -> x2 -> y2, where x and y are a program each."""
  needs, jobs = (), []
  for name in ('x1', 'y1', 'x2', 'y2'):
    jobs.append(Job(name, 'm', {}, needs, program=name[0]))
    needs = (jobs[-1],)
  assert asking.arrays_of(jobs) == [[job] for job in jobs]


def test_an_array_asks_for_what_its_jobs_ask_for():
  asked = Resources(gpus=4, cpus=8, host_bytes=2**37, hours=3.0)
  job = Job('pm/x', 'm', {}, program='pm x', resources=asked)
  assert asking.parameters_of([job], ['7_1', '8'], LIMITS) == {
    'job_name': 'pm-x',
    'time': 360,
    'gpus_per_node': 4,
    'cpus_per_task': 8,
    'mem': '131072M',
    'additional_parameters': {
      'requeue': True,
      'dependency': 'afterok:7_1:8',
      'kill-on-invalid-dep': 'yes',
    },
  }
  assert asking.parameters_of([Job('x', 'm', {})], [], LIMITS) == {
    'job_name': 'x',
    'time': 24 * 60,
    'additional_parameters': {'requeue': True},
  }


@pytest.mark.parametrize(
  ('hours', 'minutes'), [(0.1, 60), (3.0, 360), (30.0, 24 * 60), (0.0, 24 * 60)]
)
def test_a_time_limit_has_slack_and_bounds(hours, minutes):
  assert asking.minutes(hours, LIMITS) == minutes


@pytest.mark.parametrize('mark', ['%', "'", '"', '\\'])
def test_a_folder_that_no_log_can_be_in_is_refused(tmp_path, mark):
  with pytest.raises(ValueError, match='in it, which SLURM cannot have'):
    slurm.launcher(tmp_path / f'a{mark}b', launch.Options('slurm'), print)


@pytest.fixture
def watched(tmp_path):
  """A Slurm that watches the job c, without any queue."""
  found = slurm.Slurm(tmp_path, 0.01, LIMITS, lambda *_, **__: None)
  found.waiting = {'c': Job('c', 'm', {})}
  found.ids = {'c': '9'}
  return found


def test_a_job_goes_on_until_it_is_gone_silent_or_says_that_it_failed(
  watched, tmp_path, monkeypatch
):
  job, now = watched.waiting['c'], [0.0]
  monkeypatch.setattr(slurm.time, 'monotonic', lambda: now[0])
  goes_on = lambda state, absent=0: watched._goes_on(job, state, absent)
  assert goes_on('PENDING') and goes_on('RUNNING') and goes_on(slurm.NEVER, 2)
  assert not goes_on(slurm.NEVER, slurm.PATIENCE)
  file = beats.file_of(tmp_path, 'c')
  file.parent.mkdir()
  file.write_text('{"state": "running", "beat": 1}')
  assert goes_on('RUNNING')
  now[0] += beats.LOST + 1
  assert not goes_on('RUNNING')
  assert goes_on('PENDING')  # back in the queue
  assert goes_on('RUNNING')
  file.write_text('{"state": "failed", "kind": "error", "why": "no"}')
  assert not goes_on('RUNNING')
  assert watched._cause(job, 'RUNNING') == ('error', 'no')


@pytest.mark.parametrize(
  ('state', 'left', 'kind'),
  [
    ('RUNNING', '', 'heartbeat'),
    (slurm.NEVER, 'JobState=TIMEOUT Reason=None', 'time'),
    (slurm.NEVER, 'JobState=OUT_OF_MEMORY Reason=None', 'memory'),
    (slurm.NEVER, 'JobState=CANCELLED Reason=None', 'signal'),
    (slurm.NEVER, '', 'signal'),
  ],
)
def test_a_job_that_said_nothing_is_told_by_the_queue(
  watched, monkeypatch, state, left, kind
):
  calls = []

  def call(*words):
    calls.append(words[0])
    if not left:
      raise RuntimeError('slurm_load_jobs error: Invalid job id specified')
    return f'JobId=9 {left} ExitCode=0:9'

  monkeypatch.setattr(slurm, 'call', call)
  assert watched._cause(watched.waiting['c'], state)[0] == kind
  assert calls == ['scancel' if state == 'RUNNING' else 'scontrol']


def test_memory_that_was_too_little_is_doubled_at_each_try(watched):
  job = Job('c', 'm', {}, resources=Resources(host_bytes=2**30))
  for times in (0, 1, 2):
    assert watched._asking(job).resources.host_bytes == 2**30 * 2**times
    watched.waiting = {'c': job}
    watched._fail(job, 'memory', 'it ran out of memory')
  assert watched.kinds == {'c': 'memory'}
  assert re.fullmatch(
    r'c: it ran out of memory \(job 9, see .*/slurm/9_0_log.err\)',
    watched.failed['c'],
  )
