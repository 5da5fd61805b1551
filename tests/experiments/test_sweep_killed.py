"""A sweep that is killed twice ends with the table of one never killed."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from experiments_command import ENVIRONMENT, ROOT, error_line, finish, succeeded

pytestmark = pytest.mark.slow  # pools of processes

HERE = pathlib.Path(__file__).parent
# `experiments.sweep`, which knows one stage more.
CODE = """
from experiments.studies import stages
stages.STAGES += ('counting_stage',)
stages.module_of = lambda stage: stage
from experiments import sweep
sweep.main()
"""
CONFIG = """
import ml_collections
def get_config():
  return ml_collections.ConfigDict(dict(steps=6, pause=0.05, seed=0, text='x',
    broken='/nowhere', reads=(), rate=0.1))
"""


@pytest.fixture
def start(tmp_path):
  """Starts a sweep of 24 runs in a folder, in a session of its own."""
  (tmp_path / 'config.py').write_text(CONFIG)
  path = os.pathsep.join([str(ROOT), str(HERE)])

  def started(root, *flags):
    words = ['--stage=counting_stage', f'--config={tmp_path}/config.py']
    words += ['--grid=seed=0,1,2,3,4,5', '--space=grid rate=0.1,0.2,0.3,0.4']
    return subprocess.Popen(
      [sys.executable, '-c', CODE, *words, f'--workdir={root}', *flags],
      cwd=ROOT,
      env=ENVIRONMENT | {'PYTHONPATH': path},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      start_new_session=True,
    )

  return started


def done_in(root):
  return len(list(root.glob('*/done.json')))


def wait_for(process, condition):
  until = time.time() + 120
  while not condition():
    assert process.poll() is None, process.communicate()[1][-2000:]
    assert time.time() < until
    time.sleep(0.01)


def test_a_sweep_killed_twice_ends_with_the_table_of_one_never_killed(
  start, tmp_path
):
  seed = time.time_ns()
  print(f'moments of seed {seed}')
  rng, root = random.Random(seed), tmp_path / 'killed'
  for _ in range(2):
    before, process = done_in(root), start(root)
    wait_for(process, lambda before=before: done_in(root) > before)
    time.sleep(rng.uniform(0, 0.7))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert done_in(root) < 24
  last = succeeded(finish(start(root)))
  whole = succeeded(finish(start(tmp_path / 'whole')))
  table = (tmp_path / 'whole' / 'sweep.csv').read_text()
  assert (root / 'sweep.csv').read_text() == table
  assert last.stdout == whole.stdout
  header, *rows = table.splitlines()
  assert header == 'run,rate,seed,state,seconds,value' and len(rows) == 24
  assert all(',done,' in row for row in rows)
  steps = [x.read_text().split() for x in root.glob('*/steps.txt')]
  assert [len(x) for x in steps] == [6] * 24  # none was made twice
  assert len({len(set(x)) for x in steps}) > 1  # some resumed


def test_a_second_sweep_refuses_and_the_first_goes_on(start, tmp_path):
  root = tmp_path / 'sweep'
  first = start(root)
  wait_for(first, lambda: done_in(root))
  line = error_line(finish(start(root)))
  assert line.startswith(f'error: {root} is in use by another process (')
  assert f'({first.pid} on ' in line
  assert len(succeeded(finish(first)).stdout.splitlines()) == 25


def test_runs_that_are_killed_are_tried_again_and_others_are_said_once(
  start, tmp_path
):
  """One run of 24 is killed in its second step, once; then one is refused."""
  broken = tmp_path / 'broken'
  broken.write_text('exit')
  flag = f'--config.broken={broken}'
  done = succeeded(finish(start(tmp_path / 'killed', flag)))
  assert done.stderr.count('  again (1 of 2): ') == 1
  assert done.stderr.count('its process was killed (see ') == 1
  broken.write_text('in the way')
  done = finish(start(tmp_path / 'refused', flag))
  assert done.returncode == 1 and '  again (' not in done.stderr
  lines = [x for x in done.stderr.splitlines() if x.startswith('  failed: ')]
  assert len(lines) == 24
  for line in lines:
    log = pathlib.Path(line.rpartition('(see ')[2].removesuffix(')'))
    assert 'is in the way' in line and 'is in the way' in log.read_text()
