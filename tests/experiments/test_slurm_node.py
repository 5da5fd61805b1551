"""Studies and sweeps on a real SLURM: one node, no accounting.

`sudo bash scripts/slurm/single_node.sh install start`, then `make test-slurm`.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import counting_stage
import pandas as pd
import pytest
import tiny_stages
from experiments_command import (
  CACHE,
  ENVIRONMENT,
  ROOT,
  call,
  finish,
  succeeded,
)

from experiments.studies import beats, launch, slurm
from experiments.studies.job import Job, Resources, mark, state_of, with_needs

pytestmark = pytest.mark.slow  # daemons, processes

HERE = pathlib.Path(__file__).parent
ASKED = os.environ.get('RLHF_JAX_SLURM') == '1'
VALUES = {'a': 1, 'b': 2, 'B': 2, 'c': 5}
VALUES = {name: f'{n} {counting_stage.TEXT}' for name, n in VALUES.items()}


@pytest.fixture(autouse=True)
def node(monkeypatch):
  """A node that takes jobs; where it was asked for, it has to be there."""
  if not ASKED:
    pytest.skip(
      'needs a SLURM: sudo bash scripts/slurm/single_node.sh install start, '
      'and RLHF_JAX_SLURM=1'
    )
  assert shutil.which('sbatch'), 'RLHF_JAX_SLURM=1, and there is no sbatch'
  words = ['sinfo', '-h', '-o', '%t']
  said = subprocess.run(words, capture_output=True, text=True)
  assert {'idle', 'mix', 'alloc'} & set(said.stdout.split()), said
  pytest.importorskip('submitit')
  monkeypatch.setenv('PYTHONPATH', f'{ROOT}{os.pathsep}{HERE}')
  monkeypatch.setenv('RLHF_JAX_CACHE', CACHE)


@pytest.fixture
def root(tmp_path):
  folder = tmp_path / 'a $study & (more)'
  mark(folder, 'reproduce', {})
  return folder


def options(**changes):
  small = Resources(cpus=1, host_bytes=5e8, hours=0.1)
  return launch.Options('slurm', poll=0.5, resources=small)._replace(**changes)


def wait_for_an_empty_queue():
  """A process that has written its last file is there for a moment more."""
  until = time.time() + 30
  while slurm.queue():
    assert time.time() < until
    time.sleep(0.2)


def test_four_jobs_run_each_after_what_it_needs(root, capsys):
  assert launch.run(counting_stage.study(root), root, options())
  assert counting_stage.values(root) == VALUES
  said = capsys.readouterr().err
  assert '0 of 4 jobs are done, 0 in the queue' in said and '[4/4] c in' in said
  assert 'Submitted' not in said
  wait_for_an_empty_queue()
  before = json.loads((root / slurm.IDS).read_text())
  assert launch.run(counting_stage.study(root), root, options())
  assert json.loads((root / slurm.IDS).read_text()) == before


def test_one_that_dies_and_one_that_is_cancelled_are_tried_again_and_resume(
  root, capsys
):
  (root / 'no-b').write_text('exit')
  (root / 'no-B').write_text('scancel')
  assert launch.run(counting_stage.study(root), root, options(retries=1))
  assert counting_stage.values(root) == VALUES
  for name in 'bB':
    assert counting_stage.steps_of(root, name) == [1, 2]
  said = capsys.readouterr().err
  for name in 'bB':
    assert said.count(f'  failed: {name}: its process was killed (job ') == 1
    assert said.count(f'  again (1 of 1): {name}\n') == 1


def test_a_job_that_dies_at_every_try_ends_as_failed(root):
  """And what needs it leaves the queue."""
  stage = root / 'dying_stage.py'
  stage.write_text('import os\ndef run(config, workdir):\n  os._exit(9)\n')
  os.environ['PYTHONPATH'] += f'{os.pathsep}{root}'
  dies = Job('dies', 'dying_stage', {})
  jobs = [dies, Job('waits', 'dying_stage', {}, needs=(dies,))]
  with pytest.raises(launch.FailedError) as found:
    launch.run(jobs, root, options(retries=1))
  assert found.value.failed['waits'] == ''
  assert found.value.failed['dies'].startswith('dies: its process was killed')
  wait_for_an_empty_queue()


def test_an_error_of_the_config_is_said_once_and_not_tried_again(root, capsys):
  (root / 'no-b').write_text('x')
  with pytest.raises(launch.FailedError) as found:
    launch.run(counting_stage.study(root), root, options(retries=3))
  log = beats.log_of(root, 'b')
  assert found.value.failed['b'].startswith(
    f'b: {root}/no-b is in the way (job'
  )
  assert str(log) in found.value.failed['b'] and 'in the way' in log.read_text()
  assert found.value.failed['c'] == ''
  assert counting_stage.values(root).keys() == {'a', 'B'}
  assert 'again' not in capsys.readouterr().err


def test_what_is_handed_over_arrives_as_it_was(root):
  """Spaces, tuples and quotes in settings; nobody watches."""
  text = counting_stage.TEXT + ' \n(1, "two", [3]) \t \'x\' é $(id) %j'
  more = {'text': text, 'corners': (1, (2, 'a b')), 'deep': {'q': '"\'"'}}
  jobs = with_needs(counting_stage.study(root, **more))
  launch.submit(jobs, root, options())
  until = time.time() + 120
  while not (root / 'c' / 'done.json').exists():
    assert time.time() < until
    time.sleep(0.2)
  for job in jobs:
    assert state_of(job, root) == 'done'  # which compares all settings
    assert counting_stage.values(root)[job.name].partition(' ')[2] == text


def started(job, root, steps=2):
  """Waits until a job has made some steps; SLURM's id of it."""
  file, until = root / job.name / 'steps.txt', time.time() + 60
  while not file.exists() or len(file.read_text().split()) < steps:
    assert time.time() < until
    time.sleep(0.05)
  return json.loads((root / slurm.IDS).read_text())[job.name]


@pytest.mark.parametrize('how', ['time', 'pre-emption'])
def test_a_job_that_is_interrupted_comes_back_and_resumes(root, how, capsys):
  """The signal before the time limit, or a job of a partition above."""
  job = Job('slow', 'counting_stage', {}, label='of twenty steps')
  config = counting_stage.study(root, steps=20, pause=0.3)[-1].config
  job = Job(job.name, job.module, config)
  done = []
  watch = threading.Thread(
    target=lambda: done.append(launch.run([job], root, options(retries=0)))
  )
  watch.start()
  task = started(job, root)
  if how == 'time':
    words = ['scancel', '--signal=USR2', task]
  else:
    words = ['srun', '--partition=high', '--exclusive', 'sleep', '1']
  subprocess.run(words, check=True, capture_output=True)
  watch.join(timeout=180)
  assert done == [True]
  first, second = counting_stage.steps_of(root, 'slow')
  assert first + second == 20 and first >= 2
  assert '  failed' not in capsys.readouterr().err


def study_of(root):
  """Texts, a language model, comparisons and a PM, as small as they can be."""
  kinds = {
    'text': ('make_text', tiny_stages.text, ()),
    'lm': ('train_lm', tiny_stages.lm, ('text',)),
    'comparisons': ('make_comparisons', tiny_stages.comparisons, ('lm',)),
    'pm': ('train_pm', tiny_stages.pm, ('lm', 'comparisons')),
  }
  jobs = {}
  for name, (stage, config, needs) in kinds.items():
    needs = tuple(jobs[need] for need in needs)
    module = f'experiments.{stage}'
    jobs[name] = Job(name, module, config(root), needs)
  return list(jobs.values())


def tables(root):
  """{path: content} of the tables of all runs."""
  return {
    str(file.relative_to(root)): pd.read_csv(file)
    for file in sorted(root.glob('*/*.csv'))
  }


def by_list(root):
  """Runs a study by the commands that its list prints."""
  jobs = with_needs(study_of(root))
  assert not launch.run(jobs, root, launch.Options('list'))
  for index in range(len(jobs)):
    succeeded(call('job', f'--study={root}', f'--index={index}'))
  assert launch.run(jobs, root, launch.Options('list'))


def test_a_study_gives_equal_tables_on_pool_list_and_slurm(tmp_path):
  found = {}
  for on in ('pool', 'list', 'slurm'):
    root = tmp_path / on
    mark(root, 'reproduce', {})
    if on == 'list':
      by_list(root)
    else:
      big = Resources(cpus=1, host_bytes=3e9, hours=0.2)
      how = options(on=on, workers=1, resources=big)
      assert launch.run(study_of(root), root, how)
    found[on] = tables(root)
  assert {'pm/pm_curve.csv'} <= found['pool'].keys()
  for on in ('list', 'slurm'):
    assert found[on].keys() == found['pool'].keys()
    for name, table in found['pool'].items():
      pd.testing.assert_frame_equal(found[on][name], table, check_exact=True)


def test_a_sweep_goes_to_slurm_by_its_flag(tmp_path):
  """The same table as on the pool."""
  import test_sweep_killed as killed

  (tmp_path / 'config.py').write_text(killed.CONFIG)
  words = ['--stage=counting_stage', f'--config={tmp_path}/config.py']
  words += ['--grid=seed=0,1,2', '--poll=0.5', '--cpus=1', '--memory=0.5']
  texts = {}
  for on in ('pool', 'slurm'):
    root = tmp_path / on
    process = subprocess.Popen(
      [
        sys.executable,
        '-c',
        killed.CODE,
        *words,
        f'--workdir={root}',
        f'--on={on}',
      ],
      cwd=ROOT,
      env=ENVIRONMENT | {'PYTHONPATH': os.environ['PYTHONPATH']},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    succeeded(finish(process))
    texts[on] = (root / 'sweep.csv').read_text()
  assert texts['pool'] == texts['slurm'] and texts['pool'].count(',done,') == 3


def test_a_job_of_two_processes_gives_the_table_of_one(root):
  """Two tasks of a step, which find each other as SLURM tells them."""
  one = root.parent / 'one'
  mark(one, 'reproduce', {})
  tables = []
  for place, count in ((root, 2), (one, 0)):
    small = Resources(cpus=1, host_bytes=2e9, hours=0.2, processes=count)
    text = Job('text', 'experiments.make_text', tiny_stages.text(place))
    lm = tiny_stages.lm(place)
    job = Job('lm', 'experiments.train_lm', lm, needs=(text,))
    assert launch.run([job], place, options(resources=small))
    tables.append(pd.read_csv(place / 'lm' / 'lm.csv'))
  pd.testing.assert_frame_equal(*tables, rtol=1e-5, atol=2e-5)
  assert (root / 'logs' / 'lm.1.log').exists()
  assert not (one / 'logs' / 'lm.1.log').exists()
