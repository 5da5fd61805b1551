"""A run directory: its files, and what it refuses."""

import errno
import json
import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.train import checkpoints, distributed, hosts, locks
from rlhf_jax.train import run as run_module
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.run import Run, RunError
from rlhf_jax.train.steps import init_state

CONFIG = {'seed': 1, 'rate': 0.5, 'dirs': ('a', 'b')}
TX = make_optimiser()


def state_of(step=0, width=3, **more):
  params = {'w': jnp.arange(width, dtype=jnp.float32), **more}
  return init_state(params, TX)._replace(step=jnp.int32(step))


def one_line(error):
  message = str(error.value)
  assert '\n' not in message
  return message


def test_a_run_leaves_its_files(tmp_path):
  with Run(tmp_path, CONFIG, {'role': 'rl'}) as run:
    assert not run.done
    run.restore(state_of())
    run.log(1, {'loss': jnp.float32(0.5), 'n': np.int64(3), 'bad': math.nan})
    run.log(1, {'accuracy': 1}, kind='curve')
    assert run.rows('curve') == [{'step': 1, 'accuracy': 1}]
    assert run.rows('train')[0]['loss'] == 0.5
    run.finish(pairs=7)
    assert run.done
  config = json.loads((tmp_path / 'config.json').read_text())
  assert config['config']['dirs'] == ['a', 'b']
  hashed = run_module.config_hash(run.config)
  assert config['row'] == {'role': 'rl', 'config_hash': hashed}
  assert json.loads((tmp_path / 'done.json').read_text())['pairs'] == 7
  environment = json.loads((tmp_path / 'env.json').read_text())
  assert {'commit', 'device', 'cores', 'python', 'jax'} <= set(environment)


def test_the_hash_sees_every_value():
  hashed = run_module.config_hash
  assert hashed({'a': 1, 'b': 2}) == hashed({'b': 2, 'a': 1})
  assert hashed({'a': 1}) != hashed({'a': 2}) != hashed({'b': 2})


def test_the_same_config_comes_back_and_another_is_refused(tmp_path):
  Run(tmp_path, CONFIG).__exit__()
  Run(tmp_path, CONFIG).__exit__()
  other = CONFIG | {'rate': 0.6, 'new': None, 'added': 1}
  with pytest.raises(RunError, match='another config') as error:
    Run(tmp_path, other)
  assert 'differs in added, rate)' in one_line(error)
  Run(tmp_path, CONFIG).__exit__()  # the refusal has let go of the lock


def test_a_directory_in_use_is_refused_until_its_process_dies(tmp_path):
  code = (
    'import fcntl, sys, time\n'
    'file = open(sys.argv[1], "w")\n'
    'fcntl.flock(file, fcntl.LOCK_EX)\n'
    'print("locked", flush=True)\n'
    'time.sleep(600)\n'
  )
  process = subprocess.Popen(
    [sys.executable, '-c', code, tmp_path / '.lock'], stdout=subprocess.PIPE
  )
  try:
    assert process.stdout.readline() == b'locked\n'
    with pytest.raises(RunError, match='in use by another process') as error:
      Run(tmp_path, CONFIG)
    one_line(error)
  finally:
    process.kill()
    process.wait()
    process.stdout.close()
  Run(tmp_path, CONFIG).__exit__()


def test_broken_json_is_named(tmp_path):
  path = tmp_path / 'config.json'
  path.write_text('{"config": {')
  with pytest.raises(RunError) as error:
    Run(tmp_path, CONFIG)
  assert f'cannot read {path}' in one_line(error)
  with pytest.raises(RunError, match='cannot read'):
    run_module.read_json(tmp_path / 'absent.json')


def test_json_is_whole_or_absent(tmp_path):
  path = tmp_path / 'x.json'
  run_module.write_json(path, {'a': 1})
  with pytest.raises(TypeError):
    run_module.write_json(path, {'a': object()})
  assert run_module.read_json(path) == {'a': 1}


def test_without_a_checkpoint_a_run_starts_over(tmp_path):
  with Run(tmp_path, CONFIG) as run:
    run.restore(state_of())
    run.log(0, {'loss': 1.0})
    run.log(1, {'loss': 0.5})
  with Run(tmp_path, CONFIG) as run:
    assert int(run.restore(state_of()).step) == 0
    assert run.rows('train') == []


def test_metrics_past_the_checkpoint_are_cut(tmp_path):
  with Run(tmp_path, CONFIG) as run:
    run.restore(state_of())
    for step in range(5):
      run.log(step, {'loss': float(step)})
      if step == 2:
        run.save(state_of(step))
  with Run(tmp_path, CONFIG) as run:
    assert int(run.restore(state_of()).step) == 2
    run.log(3, {'loss': 30.0})
    assert [row['loss'] for row in run.rows('train')] == [0, 1, 2, 30]


@pytest.mark.parametrize('keep', [1, 2])
def test_the_newest_checkpoints_are_kept(tmp_path, keep):
  with Run(tmp_path, CONFIG, keep=keep) as run:
    for step in (2, 4, 6):
      run.save(state_of(step))
  left = sorted(int(p.name) for p in (tmp_path / 'checkpoints').iterdir())
  assert left == [2, 4, 6][-keep:]


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
  with Run(tmp_path, CONFIG) as run:
    run.save(state_of(2))
  wider, another = state_of(width=4), state_of(extra=jnp.ones(2))
  for wrong, shape in ((wider, '(4,)'), (another, '(2,)')):
    with Run(tmp_path, CONFIG) as run:
      with pytest.raises(RunError, match='does not fit this model') as error:
        run.restore(wrong)
      assert one_line(error).startswith(f'checkpoint 2 in {tmp_path}')
      assert f'wanted shape {shape} of params/' in one_line(error)


def test_params_come_back_for_the_next_stage(tmp_path):
  params = {'trunk': {'w': jnp.float32([[0.1, 1e-30]])}, 'head': jnp.ones(2)}
  with pytest.raises(RunError, match='run its stage first'):
    run_module.load_params(tmp_path, params)
  run_module.save_params(tmp_path, zeros_of(params))
  run_module.save_params(tmp_path, params)  # a stage that is run again
  loaded = run_module.load_params(tmp_path, zeros_of(params))
  np.testing.assert_array_equal(loaded['trunk']['w'], params['trunk']['w'])
  np.testing.assert_array_equal(loaded['head'], 1.0)
  with pytest.raises(RunError, match='does not fit this model') as error:
    run_module.load_params(tmp_path, params | {'head': jnp.ones(5)})
  assert 'wanted shape (5,) of head, got (2,)' in one_line(error)


def zeros_of(params):
  return {
    'trunk': {'w': jnp.zeros_like(params['trunk']['w'])},
    'head': jnp.zeros(2),
  }


@pytest.mark.parametrize('number', [errno.ENOSYS, errno.ENOLCK])
def test_a_file_system_without_locks_is_said_to_have_none(
  tmp_path, monkeypatch, capsys, number
):
  """Lustre, NFS: nobody uses the directory, and the run goes on."""

  def flock(file, how):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(locks.fcntl, 'flock', flock)
  with Run(tmp_path, CONFIG) as run:
    run.finish()
  (line,) = capsys.readouterr().err.splitlines()
  assert str(tmp_path) in line and 'its file system has no locks' in line


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(
  tmp_path, monkeypatch
):
  full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
  inner = ValueError('RESOURCE_EXHAUSTED: writing: No space left on device')
  for error in (full, inner):
    with Run(tmp_path, CONFIG) as run, monkeypatch.context() as patch:
      run.restore(state_of())
      manager = run._checkpoints._open()

      def save(*args, error=error, **options):
        raise error

      patch.setattr(manager, 'save', save)
      with pytest.raises(RunError, match='no space is left for') as found:
        run.save(state_of(2))
      assert 'checkpoints/2' in one_line(found)
  with Run(tmp_path, CONFIG) as run:
    run.save(state_of(2))
  with Run(tmp_path, CONFIG) as run:
    assert int(run.restore(state_of()).step) == 2


DEATH = 'UNKNOWN: Gloo AllGather failed: Read error: Connection reset by peer'


@pytest.mark.parametrize(
  ('processes', 'expected', 'says'),
  [
    (2, jax.errors.JaxRuntimeError, 'Gloo'),
    (1, RunError, 'see to the disk'),  # there is no other process
  ],
)
def test_another_process_that_dies_while_both_write_is_no_fault_of_the_disk(
  tmp_path, monkeypatch, processes, expected, says
):
  """`distributed.together` ends the process then, in its own words."""
  monkeypatch.setattr(hosts, 'count', lambda: processes)

  quiet = checkpoints._Quiet('write', tmp_path, 'see to the disk')
  with pytest.raises(expected, match=says), quiet:
    raise jax.errors.JaxRuntimeError(DEATH)


@pytest.mark.parametrize('wrapped', [False, True])
def test_a_death_is_known_behind_another_error(monkeypatch, wrapped):
  monkeypatch.setattr(hosts, 'count', lambda: 2)
  error = jax.errors.JaxRuntimeError(DEATH)
  if wrapped:
    outer = RuntimeError('the commit failed')
    outer.__cause__, error = error, outer
  assert distributed.is_loss(error)
  assert not distributed.is_loss(OSError(errno.ENOSPC, 'Connection'))
