"""A small Transformer's PM step, PPO iteration and sampler, for any mesh.

Everything is a function, so that importing this touches no device.
"""

import functools

import jax
import numpy as np

from rlhf_jax.data.pipeline import Batches
from rlhf_jax.evals.policy import make_policy_evaluation
from rlhf_jax.models import lora
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.scoring import make_pm_reward
from rlhf_jax.train import ppo
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.pieces import make_pieces
from rlhf_jax.train.run import Run
from rlhf_jax.train.sharded import init_sharded, jit_sharded
from rlhf_jax.train.sharding import global_batch, local_rows
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper, PPOHyper, Prompts

CONFIG = TransformerConfig(vocab_size=16, n_layers=1, d_model=16, n_heads=4)
B, T, P, ROWS = 16, 8, 4, 64
PM_HYPER = PMHyper(1e-2)
PPO_HYPER = PPOHyper(1e-3, 1e-3, kl_coef=0.1)


@functools.cache
def model():
  return build(CONFIG)


@functools.cache
def optimiser():
  return make_optimiser()


def rng():
  return jax.random.key(0)


def pm_params(rng):
  head = model().init_head(jax.random.fold_in(rng, 1))
  return model().init(rng) | {'head': head}


def pm_state(rng):
  return init_state(pm_params(rng), optimiser())


def ppo_state(rng):
  policy = model().init(jax.random.fold_in(rng, 2))
  value = pm_params(jax.random.fold_in(rng, 3))
  return init_state({'policy': policy, 'value': value}, optimiser())


def frozen(rng):
  """pi_0 is not the policy, so that there is a penalty."""
  ref = model().init(jax.random.fold_in(rng, 4))
  return ppo.Frozen(ref, pm_params(jax.random.fold_in(rng, 5)))


def pm_step():
  return make_pm_step(model().score_fn, optimiser(), microbatches=2)


ADAPT = lora.combiner(lora.attach, 8.0)


def base(rng):
  return model().init(rng)


def adapter_state(rng):
  """Adapters of every kernel; B is not zero, so that A has a gradient."""
  kernels = ['qkv/kernel/[qkv]', 'in/kernel', 'out/kernel']
  shapes = jax.eval_shape(base, rng)
  tree = jax.tree.map(
    lambda x: x + 0.1, lora.init_adapters(rng, shapes, 2, kernels)
  )
  head = model().init_head(jax.random.fold_in(rng, 1))
  return init_state({'adapters': tree, 'head': head}, optimiser())


def adapter_step():
  return make_pm_step(
    model().score_fn, optimiser(), combine=ADAPT, microbatches=2
  )


SAMPLING = SamplingConfig(max_reply=6, stop_ids=(2, 3, 4), pad_id=0)


def generate():
  """(policy params, prompts, rng) -> Rollout."""
  return make_collect(
    SAMPLING, prefill_fn=model().prefill_fn, decode_fn=model().decode_fn
  )


def reward():
  return make_pm_reward(model().score_fn, end_of_context_id=1, eos_id=2)


def pieces(**options):
  return make_pieces(
    generate=generate(),
    policy=model().logits_fn,
    value_fn=model().value_fn,
    reward=reward(),
    tx=optimiser(),
    sampling=SAMPLING,
    passes=2,
    minibatch_size=8,
    **options,
  )


def collect():
  """(joint params, prompts, rng) -> Rollout."""
  return pieces().collect


def ppo_iteration():
  return ppo.make_ppo_iteration(*pieces())


def tuned_state(rng):
  """Adapters of the policy; adapters and head of the value network."""
  policy, value = (adapter_state(jax.random.fold_in(rng, i)) for i in (6, 7))
  policy = {'adapters': policy.params['adapters']}
  return init_state({'policy': policy, 'value': value.params}, optimiser())


def tuned_frozen(rng):
  """pi_0 is the base of both networks."""
  under = base(rng)
  weights = pm_params(jax.random.fold_in(rng, 5))
  return ppo.Frozen(under, weights, {'policy': under, 'value': under})


def tuned_iteration():
  """PPO of adapters, scored in two parts."""
  return ppo.make_ppo_iteration(
    *pieces(attach=ADAPT, merge=ADAPT, scoring_parts=2)
  )


def evaluation():
  """(params, ref, (reward params,), prompts, rng) -> numbers of each row."""
  return make_policy_evaluation(
    generate(), model().logits_fn, (reward(),), SAMPLING, parts=2
  )


def pairs():
  rng = np.random.default_rng(0)
  tokens = lambda: np.int32(rng.integers(0, CONFIG.vocab_size, (ROWS, T)))
  length = lambda: np.int32(rng.integers(1, T + 1, ROWS))
  return PairBatch(tokens(), length(), tokens(), length())


def prompts():
  rng = np.random.default_rng(1)
  tokens = np.int32(rng.integers(3, CONFIG.vocab_size, (B, P)))
  length = np.int32(rng.integers(1, P + 1, B))
  # Names come again on other devices, which have to count them alike.
  return Prompts(tokens, length, np.arange(B, dtype=np.int32) % 5)


def first_pairs(count):
  return jax.tree.map(lambda x: x[:count], pairs())


def train_pm(workdir, mesh, steps):
  """Trains on to `steps`, then a checkpoint; the losses of the new steps.

  Every process loads its own share of the rows.
  """
  batches = Batches(
    pairs(),
    B,
    seed=0,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )
  state = init_sharded(pm_state, mesh, rng())
  step_fn, losses = jit_sharded(pm_step(), mesh, state), []
  with Run(workdir, {'job': 'pm'}) as run:
    state = run.restore(state, batches)
    for step in range(int(state.step), steps):
      batch = global_batch(next(batches), mesh, B)
      state, metrics = step_fn(state, batch, rng(), PM_HYPER)
      losses.append(float(metrics['loss']))  # waits for the step
      run.log(step + 1, metrics)
    run.save(state, batches)
  return losses


def run_ppo(mesh):
  """The metrics of one iteration; every process loads its devices' rows."""
  state = init_sharded(ppo_state, mesh, rng())
  fixed = init_sharded(frozen, mesh, rng())
  rows_N = local_rows(B, mesh)
  batch = jax.tree.map(lambda x: x[rows_N], prompts())
  step_fn = jit_sharded(ppo_iteration(), mesh, state, fixed)
  _, metrics = step_fn(
    state, fixed, global_batch(batch, mesh, B), rng(), PPO_HYPER
  )
  return {name: float(value) for name, value in metrics.items()}
