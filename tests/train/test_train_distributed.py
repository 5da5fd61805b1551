"""Two real processes over one mesh, against one process."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import sharded_toy as toy

from rlhf_jax.train import partners
from rlhf_jax.train.sharding import make_mesh

pytestmark = pytest.mark.slow  # several processes

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 900


def free_port():
  with socket.socket() as sock:
    sock.bind(('127.0.0.1', 0))
    return sock.getsockname()[1]


def start_two(*words):
  """Two processes of two faked devices each, started by flags."""
  env = os.environ | {
    'PYTHONPATH': os.pathsep.join([str(ROOT), str(HERE)]),
    'XLA_FLAGS': '--xla_force_host_platform_device_count=2 '
    '--xla_backend_optimization_level=0',  # compiles in half the time
  }
  port = free_port()
  command = [
    sys.executable,
    *words,
    f'--distributed=127.0.0.1:{port}',
    '--num_processes=2',
  ]
  return [
    subprocess.Popen(
      [*command, f'--process_id={i}'],
      env=env,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for i in range(2)
  ]


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  return tmp_path_factory.mktemp('distributed')


@pytest.fixture(scope='module')
def one(workdir):
  """One process: four PM steps, and the first two of a run to go on from."""
  mesh = make_mesh(fsdp=-1)
  losses = toy.train_pm(workdir / 'one', mesh, 4)
  assert toy.train_pm(workdir / 'from_one', mesh, 2) == losses[:2]
  return {'losses': losses, 'ppo': toy.run_ppo(mesh)}


@pytest.fixture(scope='module')
def two(workdir, one):
  """What each of the two processes printed."""
  processes = start_two(HERE / 'one_of_several.py', workdir)
  try:
    outputs = [process.communicate(timeout=SECONDS) for process in processes]
  finally:
    for process in processes:
      process.kill()
  for process, (_, stderr) in zip(processes, outputs, strict=True):
    assert process.returncode == 0, stderr
  # gloo greets on stdout, too
  return [json.loads(stdout.splitlines()[-1]) for stdout, _ in outputs]


def close(a, b, **details):
  np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, **details)


def test_two_processes_hold_one_mesh(two):
  """Each loads its own half of the rows; parameters span both."""
  assert [out['processes'] for out in two] == [2, 2]
  assert [out['devices'] for out in two] == [4, 4]
  assert [out['spans'] for out in two] == [True, True]
  halves = [list(range(8)), list(range(8, 16))]
  assert [out['rows'] for out in two] == halves


def test_two_processes_train_the_same_preference_model(two, one):
  """The same losses in both, and in one process (checklist 68)."""
  assert two[0]['begun'] == two[1]['begun']
  close(two[0]['begun'], one['losses'][:2])


def test_two_processes_run_the_same_ppo_iteration(two, one):
  """The same metrics in both, and in one process (checklist 68)."""
  assert two[0]['ppo'] == two[1]['ppo']
  assert set(two[0]['ppo']) == set(one['ppo'])
  for name, value in one['ppo'].items():
    close(two[0]['ppo'][name], value, err_msg=name)


def test_two_processes_go_on_from_the_checkpoint_of_one(two, one):
  assert two[0]['resumed'] == two[1]['resumed']
  assert len(two[0]['resumed']) == 2
  close(two[0]['resumed'], one['losses'][2:])


@pytest.mark.parametrize('dies', [0, 1])
def test_the_death_of_one_process_ends_the_other_with_a_sentence(dies):
  """At once, and not after the minutes of an orderly end."""
  processes, left = start_two(HERE / 'one_dies.py', f'--dies={dies}'), 1 - dies
  try:
    found = [process.communicate(timeout=60) for process in processes]
  finally:
    for process in processes:
      process.kill()
  out, said = found[left]
  assert processes[left].returncode == partners.LOST
  assert processes[dies].returncode == -signal.SIGKILL
  assert '10.0' in out
  lines = [line for line in said.splitlines() if line.startswith('error: ')]
  (line,) = lines
  assert f'process {left} of 2 ends, since another one of the job' in line
  assert 'Traceback' not in said
  if dies:  # of process 0, with its service, the runtime may speak before
    assert len(said.splitlines()) < 5


def test_one_process_goes_on_from_the_checkpoint_of_two(two, one, workdir):
  losses = toy.train_pm(workdir / 'from_two', make_mesh(fsdp=-1), 4)
  assert len(losses) == 2
  close(losses, one['losses'][2:])


def test_only_process_0_writes_metrics(two, workdir):
  lines = (workdir / 'from_one' / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in lines] == [1, 2, 3, 4]
