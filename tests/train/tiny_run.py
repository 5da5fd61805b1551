"""A run of a few steps that can be killed: python tiny_run.py DIR [HOW].

HOW is 'step', to die by SIGKILL between two checkpoints, or 'save', to die
while a checkpoint is being written.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.data.pipeline import Batches
from rlhf_jax.train.averaging import AveragedState, with_average
from rlhf_jax.train.optimiser import learning_rate_at, make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper

STEPS, EVERY, DIE_AT, V, T, ROWS = 12, 3, 8, 8, 6, 40


def score_fn(params, tokens_BT, length_B):
  real_BT = jnp.arange(tokens_BT.shape[1])[None] < length_B[:, None]
  hidden_BTD = params['embed_VD'][tokens_BT] * real_BT[..., None]
  return jnp.tanh(hidden_BTD.sum(1)) @ params['head_D']


def start():
  """A fresh state, its optimiser, and the data."""
  rng, tx = np.random.default_rng(0), make_optimiser()
  tokens = lambda: np.int32(rng.integers(0, V, (ROWS, T)))
  length = lambda: np.int32(rng.integers(1, T + 1, ROWS))
  pairs = PairBatch(tokens(), length(), tokens(), length())
  params = {
    'embed_VD': jnp.float32(rng.normal(size=(V, 4))),
    'head_D': jnp.float32(rng.normal(size=4)),
  }
  state = AveragedState(init_state(params, tx), jax.tree.map(jnp.copy, params))
  return state, tx, Batches(pairs, 8, seed=0)


def train(workdir, on_step=lambda step: None):
  """Trains to the end from wherever the directory is."""
  state, tx, batches = start()
  step = with_average(make_pm_step(score_fn, tx), eta=8.0)
  step_fn = jax.jit(step, donate_argnums=0)
  with Run(workdir, {'steps': STEPS}) as run:
    state = run.restore(state, batches)
    for step in run.progress(int(state.step), STEPS):
      rate = learning_rate_at(step, peak=0.1, total=STEPS, shape='linear')
      state, metrics = step_fn(
        state, next(batches), jax.random.key(0), PMHyper(rate)
      )
      run.log(step + 1, metrics)
      on_step(step + 1)
      if (step + 1) % EVERY == 0:
        run.save(state, batches)
    run.finish()
  return state, batches


def die():
  os.kill(os.getpid(), signal.SIGKILL)


def die_while_saving(checkpoints):
  """Dies once one checkpoint is whole and another has begun to appear."""
  while True:
    names = os.listdir(checkpoints) if checkpoints.exists() else []
    whole = [name for name in names if name.isdigit()]
    if whole and len(names) > len(whole):
      die()


def main(workdir, how=''):
  if how == 'save':
    threading.Thread(
      target=die_while_saving, args=[Path(workdir) / 'checkpoints'], daemon=True
    ).start()
  train(workdir, lambda step: die() if (how, step) == ('step', DIE_AT) else 0)


if __name__ == '__main__':
  main(*sys.argv[1:])
