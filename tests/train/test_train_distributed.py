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

from rlhf_jax.train import distributed, partners
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
    f'--coordinator=127.0.0.1:{port}',
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


def test_the_death_of_one_process_ends_the_other_with_a_sentence():
  """At once, and not after the minutes of an orderly end."""
  processes = start_two(HERE / 'one_dies.py')
  try:
    (out, said), _ = [process.communicate(timeout=60) for process in processes]
  finally:
    for process in processes:
      process.kill()
  assert [process.returncode for process in processes] == [
    partners.LOST,
    -signal.SIGKILL,
  ]
  assert '10.0' in out
  lines = [line for line in said.splitlines() if line.startswith('error: ')]
  (line,) = lines
  assert 'process 0 of 2 ends, since another one of the job has died' in line
  assert 'Traceback' not in said and len(said.splitlines()) < 5


def test_one_process_goes_on_from_the_checkpoint_of_two(two, one, workdir):
  losses = toy.train_pm(workdir / 'from_two', make_mesh(fsdp=-1), 4)
  assert len(losses) == 2
  close(losses, one['losses'][2:])


def test_only_process_0_writes_metrics(two, workdir):
  lines = (workdir / 'from_one' / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in lines] == [1, 2, 3, 4]


@pytest.mark.parametrize(
  ('environ', 'expected'),
  [
    ({}, None),
    # srun with several tasks; srun with one; inside sbatch, outside srun
    ({'SLURM_STEP_NUM_TASKS': '2', 'SLURM_PROCID': '1'}, 'slurm'),
    ({'SLURM_STEP_NUM_TASKS': '1', 'SLURM_PROCID': '0'}, None),
    ({'SLURM_NTASKS': '8', 'SLURM_PROCID': '0'}, None),
    # Kubernetes pod of two hosts; of one
    ({'TPU_ML_PLATFORM': 'JAX', 'TPU_WORKER_HOSTNAMES': 'a,b'}, 'tpu'),
    ({'TPU_ML_PLATFORM': 'JAX', 'TPU_PROCESS_ADDRESSES': 'a:1,b:1'}, 'tpu'),
    ({'TPU_ML_PLATFORM': 'JAX', 'TPU_WORKER_HOSTNAMES': 'a'}, None),
    # TPU VM with a metadata server; without one
    ({'TPU_ML_PLATFORM': 'JAX'}, 'tpu'),
    ({'TPU_ML_PLATFORM': 'JAX', 'TPU_SKIP_MDS_QUERY': '1'}, None),
    # no TPU chips
    ({'TPU_WORKER_HOSTNAMES': 'a,b'}, None),
  ],
)
def test_the_launcher_is_known_by_its_variables(environ, expected):
  assert distributed.launcher(environ) == expected


def test_half_a_start_by_hand_is_an_error():
  with pytest.raises(ValueError, match='give all three') as error:
    distributed.start('127.0.0.1:1', 2)
  assert '\n' not in str(error.value)


def test_one_process_alone_starts_nothing(monkeypatch):
  calls = []
  monkeypatch.setattr(
    distributed.jax.distributed,
    'initialize',
    lambda *args, **options: calls.append((args, options)),
  )
  monkeypatch.setattr(distributed.os, 'environ', {})
  distributed.start()
  assert calls == []
  slurm = {'SLURM_STEP_NUM_TASKS': '2'}
  monkeypatch.setattr(distributed.os, 'environ', slurm)
  distributed.start()
  limits = {'heartbeat_timeout_seconds': 20, 'shutdown_timeout_seconds': 20}
  assert calls == [((), {'cluster_detection_method': 'slurm', **limits})]


@pytest.mark.parametrize(('said', 'deaths'), [(partners.GOODBYE, 0), (b'', 1)])
def test_a_connection_that_ends_without_a_goodbye_is_a_death(said, deaths):
  ours, theirs = socket.socketpair()
  lost = []
  if said:
    partners.part([theirs])
  theirs.close()
  partners._watch(ours, lost.append)
  assert len(lost) == deaths
  ours.close()
