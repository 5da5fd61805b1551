"""Compiled programs, shared by every run of one process.

Each function is cached on its static settings alone; seeds, coefficients and
learning rates are traced, so that runs which differ in those share a program.
Whether a stage runs on one device or on a mesh is decided here too: `mesh_of`
reads the config, and everything that takes its result serves both.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.evals.policy import make_evaluate
from rlhf_jax.losses.chunked import SplitModel
from rlhf_jax.models import ladder
from rlhf_jax.models.build import build
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.scoring import make_hash_reward, make_pm_reward
from rlhf_jax.train import ledger, ppo, steps
from rlhf_jax.train.averaging import with_average
from rlhf_jax.train.optimiser import make_optimiser, map_microbatches
from rlhf_jax.train.run import load_params
from rlhf_jax.train.sharded import (
  init_sharded,
  jit_collect,
  jit_rows,
  jit_sharded,
  on_mesh,
)
from rlhf_jax.train.sharding import make_mesh, shard, shardings_of

# Positions of a row whose logits are held at once, where the vocabulary is so
# large that all of them would be most of a step's memory (docs/numerics.md).
CHUNK, LARGE_VOCABULARY = 64, 8192


def mesh_of(sizes):
  """The mesh of a config's `mesh` section; None where all sizes are 1.

  Args:
    sizes: {'data', 'fsdp', 'model'}, which multiply to the number of devices
      (-1 on one of them: what is left).
  """
  return None if set(sizes.values()) == {1} else make_mesh(**sizes)


def row_parts(mesh):
  """How many parts the rows of a batch are cut into."""
  return mesh.shape['data'] * mesh.shape['fsdp'] if mesh else 1


def made(init, mesh, *args):
  """`init(*args)`; on a mesh, made in pieces."""
  return init_sharded(init, mesh, *args) if mesh else init(*args)


def spread(tree, mesh):
  """Copies of its own of a tree's arrays, which a step may donate.

  Cut over the mesh; or on one device, so that a process with other devices can
  read them from a checkpoint.
  """
  if mesh:
    return shard(tree, shardings_of(tree, mesh))
  return jax.tree.map(lambda x: jnp.array(np.asarray(x)), tree)


def restored(workdir, init, mesh=None):
  """Parameters of a finished run, in the shapes of `init(rng)`.

  Cut over the mesh as they are read; or bound to no device. Restored arrays are
  bound to one, and a state that mixes both kinds is compiled for twice: a step
  binds all of its results, so its second call looks new.
  """
  like = jax.eval_shape(init, jax.random.key(0))
  if not mesh:
    return spread(load_params(workdir, like), None)
  placed = lambda x, where: jax.ShapeDtypeStruct(
    x.shape, x.dtype, sharding=where
  )
  return load_params(
    workdir, jax.tree.map(placed, like, shardings_of(like, mesh))
  )


def preference_init(functions):
  """From a `Model` to rng -> {'trunk', 'head'}."""
  return lambda rng: functions.init(rng) | {'head': functions.init_head(rng)}


def model(size, vocab_size, dtype='float32'):
  """The Transformer of a rung, the same object for the same arguments."""
  return _model(size, vocab_size, dtype)


@functools.cache
def _model(size, vocab_size, dtype):
  return build(ladder.config_for(size, vocab_size, dtype=dtype))


def language_model(size, vocab_size, dtype='float32'):
  """The Transformer of a rung, its logits made as they are needed."""
  functions = model(size, vocab_size, dtype)
  chunk = CHUNK if vocab_size >= LARGE_VOCABULARY else None
  return SplitModel(functions.hidden_fn, functions.head_fn, chunk)


@functools.cache
def optimiser(b2, weight_decay=0.0):
  """Adam with the betas of a stage."""
  return make_optimiser(b2=b2, weight_decay=weight_decay)


@functools.cache
def lm_step(
  size, vocab_size, dtype, b2, weight_decay, microbatches, packed, mesh
):
  """Jitted language-model step; several texts a row if packed."""
  step = steps.make_lm_step(
    language_model(size, vocab_size, dtype),
    optimiser(b2, weight_decay),
    microbatches=microbatches,
    packed=packed,
  )
  return _jit_step(step, f'lm_step_{size}', mesh)


@functools.cache
def pm_step(size, vocab_size, dtype, b2, microbatches, average_eta, mesh):
  """Jitted preference-model step on SharedPairs, of an AveragedState."""
  step = steps.make_pm_step(
    model(size, vocab_size, dtype).pair_score_fn,
    optimiser(b2),
    microbatches=microbatches,
    shared=True,
  )
  return _jit_step(with_average(step, average_eta), f'pm_step_{size}', mesh)


@functools.cache
def score(size, vocab_size, dtype='float32', mesh=None):
  """Jitted scores of both sides of SharedPairs."""
  functions, name = model(size, vocab_size, dtype), f'pm_score_{size}'
  if not mesh:
    return jit_named(functions.pair_score_fn, name)
  params = jax.eval_shape(preference_init(functions), jax.random.key(0))
  return jit_rows(_noting(functions.pair_score_fn, name), mesh, params)


def _collect(size, vocab_size, dtype, sampling):
  functions = model(size, vocab_size, dtype)
  return make_collect(
    sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
  )


@functools.cache
def sampler(size, vocab_size, dtype, sampling, mesh=None):
  """Jitted sampler of a language model."""
  collect = _collect(size, vocab_size, dtype, sampling)
  name = f'sample_{size}'
  if not mesh:
    return jit_named(collect, name)
  init = model(size, vocab_size, dtype).init
  params = jax.eval_shape(init, jax.random.key(0))
  return jit_collect(_noting(collect, name), mesh, params)


def sampling_config(tokenizer, max_reply):
  """The paper's sampler (temperature 1, no top-p) for a tokenizer."""
  return SamplingConfig(
    max_reply=max_reply,
    stop_ids=tuple(tokenizer.stop_ids),
    pad_id=tokenizer.pad_id,
  )


@functools.cache
def reward(pm_size, vocab_size, dtype, ids, null):
  """(reward_params, tokens, prompt_length, length) -> score, not jitted."""
  if null:
    return make_hash_reward(0.4)
  end_of_context_id, eos_id, stop_ids = ids
  return make_pm_reward(
    model(pm_size, vocab_size, dtype).score_fn,
    end_of_context_id=end_of_context_id,
    eos_id=eos_id,
    stop_ids=tuple(i for i in stop_ids if i != eos_id),
  )


@functools.cache
def ppo_pieces(
  size, pm_size, vocab_size, dtype, sampling, ids, null, b2, update
):
  """(collect, score, penalise, estimate, update) of a policy, not jitted.

  The value network has the policy's size; `update` is (passes, minibatch_size,
  microbatches, scoring_parts).
  """
  policy = language_model(size, vocab_size, dtype)
  value_fn = model(size, vocab_size, dtype).value_fn
  generate = _collect(size, vocab_size, dtype, sampling)
  scorer = reward(pm_size, vocab_size, dtype, ids, null)
  passes, minibatch_size, microbatches, parts = update
  return (
    lambda params, prompts, rng: generate(params['policy'], prompts, rng),
    lambda weights, *rows: map_microbatches(
      lambda part, weights: scorer(weights, *part), rows, parts, weights
    ),
    ppo.make_penalise(policy, microbatches=parts, max_reply=sampling.max_reply),
    ppo.make_estimate(
      lambda params, *rows, **read: value_fn(params['value'], *rows, **read),
      microbatches=parts,
      max_reply=sampling.max_reply,
    ),
    ppo.make_ppo_update(
      ppo.separate(policy, value_fn),
      optimiser(b2),
      passes=passes,
      minibatch_size=minibatch_size,
      microbatches=microbatches,
      max_reply=sampling.max_reply,
    ),
  )


@functools.cache
def ppo_iteration(size, collect, score, penalise, estimate, update, mesh):
  """Jitted whole PPO iteration of the five pieces, one after the other."""
  iteration = ppo.make_ppo_iteration(collect, score, penalise, estimate, update)
  return _jit_step(iteration, f'ppo_iteration_{size}', mesh)


@functools.cache
def policy_eval(
  size, pm_size, vocab_size, dtype, sampling, ids, null, parts, mesh
):
  """Jitted evaluation of a policy with a train PM and a test PM."""
  scorer = reward(pm_size, vocab_size, dtype, ids, null)
  evaluate = make_evaluate(
    _collect(size, vocab_size, dtype, sampling),
    language_model(size, vocab_size, dtype),
    (scorer, scorer),
    parts=parts,
    max_reply=sampling.max_reply,
  )
  if mesh:
    evaluate = on_mesh(evaluate, mesh)
  return jit_named(evaluate, f'policy_eval_{size}')


def jit_named(function, name, **options):
  """Jits under a name that the compile ledger shows, with its shapes."""
  return jax.jit(_noting(function, name), **options)


def _noting(function, name):
  signature = inspect.signature(function)

  def named(*args):
    ledger.note(name, signature.bind(*args).arguments)
    return function(*args)

  named.__name__ = named.__qualname__ = name
  return named


def _jit_step(step, name, mesh):
  """Jits step(state, *frozen, batch, rng, hyper), which donates its state.

  On a mesh the first call's state and frozen trees say by their paths and
  shapes where everything lives.
  """
  if not mesh:
    return jit_named(step, name, donate_argnums=0)
  noting, jitted = _noting(step, name), []

  def call(state, *rest):
    if not jitted:
      jitted.append(jit_sharded(noting, mesh, state, *rest[:-3]))
    return jitted[0](state, *rest)

  return call
