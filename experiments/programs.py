"""Compiled programs, shared by every run of one process.

Each function is cached on its static settings alone; seeds, coefficients and
learning rates are traced, so that runs which differ in those share a program.
"""

import functools

import jax

from rlhf_jax.evals.policy import make_evaluate
from rlhf_jax.losses.chunked import SplitModel
from rlhf_jax.models import ladder
from rlhf_jax.models.build import build
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.scoring import make_hash_reward, make_pm_reward
from rlhf_jax.train import ppo, steps
from rlhf_jax.train.averaging import with_average
from rlhf_jax.train.optimiser import make_optimiser

# Positions of a row whose logits are held at once, where the vocabulary is so
# large that all of them would be most of a step's memory (docs/numerics.md).
CHUNK, LARGE_VOCABULARY = 64, 8192


@functools.cache
def model(size, vocab_size, dtype='float32'):
  """The Transformer of a rung."""
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
def lm_step(size, vocab_size, dtype, b2, weight_decay, microbatches):
  """Jitted language-model step."""
  step = steps.make_lm_step(
    language_model(size, vocab_size, dtype),
    optimiser(b2, weight_decay),
    microbatches=microbatches,
  )
  return _jit(step, f'lm_step_{size}', donate_argnums=0)


@functools.cache
def pm_step(size, vocab_size, dtype, b2, microbatches, average_eta):
  """Jitted preference-model step, on an AveragedState."""
  step = steps.make_pm_step(
    model(size, vocab_size, dtype).score_fn,
    optimiser(b2),
    microbatches=microbatches,
  )
  step = with_average(step, average_eta)
  return _jit(step, f'pm_step_{size}', donate_argnums=0)


@functools.cache
def score(size, vocab_size, dtype='float32'):
  """Jitted preference-model score."""
  return _jit(model(size, vocab_size, dtype).score_fn, f'pm_score_{size}')


@functools.cache
def sampler(size, vocab_size, dtype, sampling):
  """Jitted sampler of a language model."""
  functions = model(size, vocab_size, dtype)
  collect = make_collect(
    sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
  )
  return _jit(collect, f'sample_{size}')


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
def ppo_iteration(
  size, pm_size, vocab_size, dtype, sampling, ids, null, b2, update
):
  """Jitted whole PPO iteration with a value network of the policy's size.

  `update` is (passes, minibatch_size, microbatches, scoring_parts).
  """
  functions = model(size, vocab_size, dtype)
  policy = language_model(size, vocab_size, dtype)
  passes, minibatch_size, microbatches, parts = update
  generate = make_collect(
    sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
  )
  collect = lambda params, prompts, rng: generate(
    params['policy'], prompts, rng
  )
  scorer = reward(pm_size, vocab_size, dtype, ids, null)
  in_parts = lambda weights, *rows: ppo.map_microbatches(
    lambda part: scorer(weights, *part), rows, parts
  )
  value_fn = lambda params, *rows: functions.value_fn(params['value'], *rows)
  iteration = ppo.make_ppo_iteration(
    collect,
    in_parts,
    ppo.make_penalise(policy, microbatches=parts, max_reply=sampling.max_reply),
    ppo.make_estimate(value_fn, microbatches=parts),
    ppo.make_ppo_update(
      ppo.separate(policy, functions.value_fn),
      optimiser(b2),
      passes=passes,
      minibatch_size=minibatch_size,
      microbatches=microbatches,
      max_reply=sampling.max_reply,
    ),
  )
  return _jit(iteration, f'ppo_iteration_{size}', donate_argnums=0)


@functools.cache
def policy_eval(size, pm_size, vocab_size, dtype, sampling, ids, null, parts):
  """Jitted evaluation of a policy with a train PM and a test PM."""
  functions = model(size, vocab_size, dtype)
  collect = make_collect(
    sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
  )
  scorer = reward(pm_size, vocab_size, dtype, ids, null)
  evaluate = make_evaluate(
    collect,
    language_model(size, vocab_size, dtype),
    (scorer, scorer),
    parts=parts,
    max_reply=sampling.max_reply,
  )
  return _jit(evaluate, f'policy_eval_{size}')


def _jit(function, name, **options):
  """Jits under a name that the compile ledger shows."""

  def named(*args):
    return function(*args)

  named.__name__ = named.__qualname__ = name
  return jax.jit(named, **options)
