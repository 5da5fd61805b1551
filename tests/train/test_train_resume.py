"""A run that was killed ends bit for bit where an unbroken one ends."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
import tiny_run
import train_fixture as fixture

from rlhf_jax.data.pipeline import Batches
from rlhf_jax.train import ppo
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]


class Killed(KeyboardInterrupt):
  """Leaves the training loop like Ctrl-C."""


def python(*args):
  """Runs another Python that finds the package and the files here."""
  path = os.pathsep.join([str(ROOT), str(HERE)])
  return subprocess.run(
    [sys.executable, *map(str, args)],
    env=os.environ | {'PYTHONPATH': path},
    capture_output=True,
    text=True,
    check=False,
  )


def outcome(state, batches, workdir):
  """Everything that must be equal to the last bit."""
  metrics = (workdir / 'metrics.jsonl').read_bytes()
  return fixture.digest(state), batches.get_state(), metrics


def stored(workdir):
  """The outcome as the last checkpoint of a run holds it."""
  state, _, batches = tiny_run.start()
  with Run(workdir, {'steps': tiny_run.STEPS}) as run:
    state = run.restore(state, batches)
  return outcome(state, batches, workdir)


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('unbroken')
  result = outcome(*tiny_run.train(workdir), workdir)
  assert result == stored(workdir)
  assert len(result[2].splitlines()) == tiny_run.STEPS
  return result


def killed(workdir, how):
  """A directory whose process died by SIGKILL; returns the newest step."""
  process = python(HERE / 'tiny_run.py', workdir, how)
  assert process.returncode == -signal.SIGKILL, process.stderr
  assert not (workdir / 'done.json').exists()
  names = [path.name for path in workdir.glob('checkpoints/*')]
  return max(int(name) for name in names if name.isdigit())


def test_a_killed_run_resumes_bit_for_bit(tmp_path, unbroken):
  """Killed at step 8, resumed from step 6 (checklist 82)."""
  assert killed(tmp_path, 'step') == 6
  assert outcome(*tiny_run.train(tmp_path), tmp_path) == unbroken
  assert (tmp_path / 'done.json').exists()


def test_a_kill_while_saving_leaves_the_checkpoint_before(tmp_path, unbroken):
  """Killed with a checkpoint half written (checklist 82, 85)."""
  newest = killed(tmp_path, 'save')
  left = [p.name for p in (tmp_path / 'checkpoints').iterdir()]
  assert any(not name.isdigit() for name in left)
  assert newest in (3, 6, 9)
  assert outcome(*tiny_run.train(tmp_path), tmp_path) == unbroken


def test_half_written_files_do_not_matter(tmp_path, unbroken):
  """Leftovers of a checkpoint, of a line, of JSON (checklist 85)."""

  def stop(step):
    if step == 8:
      raise Killed

  with pytest.raises(Killed):
    tiny_run.train(tmp_path, stop)
  part = tmp_path / 'checkpoints' / '9.orbax-checkpoint-tmp'
  (part / 'state.orbax-checkpoint-tmp').mkdir(parents=True)
  with (tmp_path / 'metrics.jsonl').open('a') as file:
    file.write('{"kind": "train", "step": 9, "lo')
  (tmp_path / 'done.json.part').write_text('{"seco')
  (tmp_path / 'metrics.jsonl.part').write_text('{"ki')
  assert outcome(*tiny_run.train(tmp_path), tmp_path) == unbroken


RANDOM_STATE = """
import random, sys
import flax.linen, grain, jax, numpy, optax, orbax.checkpoint

def now():
  _, keys, *rest = numpy.random.get_state()
  return random.getstate(), keys.tolist(), rest

# Only now: JAX and rich (through flax) draw numbers when they are imported.
before = now()
import rlhf_jax.data.pipeline, rlhf_jax.models.build, rlhf_jax.rollout.scoring
import rlhf_jax.train.ledger, rlhf_jax.train.ppo, tiny_run
assert now() == before, 'import'
tiny_run.train(sys.argv[1])
assert now() == before, 'run'
numpy.random.random()
assert now() != before
"""


def test_random_state_of_the_process_is_left_alone(tmp_path):
  """Importing and running, in a fresh process (checklist 86)."""
  process = python('-c', RANDOM_STATE, tmp_path)
  assert process.returncode == 0, process.stderr


def ppo_run(workdir, iteration, frozen, stop_after=None):
  """Eight PPO iterations, a checkpoint after every third."""
  tx, step = iteration
  batches = Batches(fixture.PROMPTS, 4, seed=1)
  prompts_of = lambda batch: jax.tree.map(
    lambda x: np.concatenate([x, x]), batch
  )
  updates = 4  # 2 passes of 2 minibatches
  with Run(workdir, {'iterations': 8}) as run:
    state = run.restore(init_state(fixture.bigram_params(0), tx), batches)
    for i in run.progress(int(state.step) // updates, 8):
      if i == stop_after:
        raise Killed
      state, metrics = step(
        state, frozen, prompts_of(next(batches)), jax.random.key(0),
        fixture.hyper(0.05, kl_coef=0.1),
      )  # fmt: skip
      run.log(int(state.step), metrics)
      if (i + 1) % 3 == 0:
        run.save(state, batches)
  return state, batches


def test_ppo_resumes_bit_for_bit(tmp_path, iteration, frozen):
  """Stopped after 5 of 8 iterations, two past a checkpoint (checklist 82)."""
  whole, broken = tmp_path / 'whole', tmp_path / 'broken'
  expected = outcome(*ppo_run(whole, iteration, frozen), whole)
  with pytest.raises(Killed):
    ppo_run(broken, iteration, frozen, stop_after=5)
  assert outcome(*ppo_run(broken, iteration, frozen), broken) == expected
  steps = [
    json.loads(line)['step'] for line in expected[2].decode().splitlines()
  ]
  assert steps == [4 * i for i in range(1, 9)]


def two_call_run(workdir, programs, frozen, killed_in=None):
  """Five iterations whose scores are made on the host, between two programs."""
  tx, collect, learn = programs
  batches, rng = Batches(fixture.PROMPTS, 8, seed=1), jax.random.key(0)
  with Run(workdir, {'iterations': 5}) as run:
    state = run.restore(init_state(fixture.bigram_params(0), tx), batches)
    for i in run.progress(int(state.step) // 4, 5):
      rollout = collect(state.params, next(batches), jax.random.fold_in(rng, i))
      score_B = np.float32((np.asarray(rollout.tokens_BT) == 2).sum(1))
      if i == killed_in:
        raise Killed
      hyper = fixture.hyper(0.05, kl_coef=0.1)
      state, metrics = learn(state, frozen.ref, rollout, score_B, rng, hyper)
      run.log(int(state.step), metrics)
      if i % 2:
        run.save(state, batches)
  return state, batches


@pytest.mark.slow  # compiles PPO
def test_a_kill_between_sampling_and_updating_changes_nothing(tmp_path, frozen):
  """Replies are sampled again, and are the same ones (checklist 83)."""
  tx = make_optimiser()
  collect, *rest = fixture.bigram_pieces(tx)
  programs = tx, jax.jit(collect), jax.jit(ppo.make_learn(*rest))
  whole, broken = tmp_path / 'whole', tmp_path / 'broken'
  expected = outcome(*two_call_run(whole, programs, frozen), whole)
  with pytest.raises(Killed):
    two_call_run(broken, programs, frozen, killed_in=3)
  assert outcome(*two_call_run(broken, programs, frozen), broken) == expected


def test_the_value_function_is_in_the_checkpoint(tmp_path, iteration, frozen):
  """Values that were trained come back (checklist 84)."""
  with pytest.raises(Killed):
    ppo_run(tmp_path, iteration, frozen, stop_after=6)
  fresh = init_state(fixture.bigram_params(0), iteration[0])
  with Run(tmp_path, {'iterations': 8}) as run:
    state = run.restore(fresh)
  assert not np.any(fresh.params['value']['value_V'])
  assert np.abs(state.params['value']['value_V']).max() > 0.1
  assert int(state.step) == 24
