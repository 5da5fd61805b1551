"""A policy beside its scorers: compiled programs, and its measurement.

Every checkpoint of a run is measured on the same held-out prompts, with
replies of its own: score, gold and KL are of the same replies, never of the
training rollouts. Programs are cached on static settings alone: seeds,
coefficients and learning rates are traced, so that runs which differ in those
share a program.
"""

import functools
from typing import NamedTuple

import numpy as np

from experiments.shared import ensembles
from experiments.shared.devices import (
  jit_measure,
  jit_of_rows,
  jit_read,
  jit_step,
  spread,
)
from experiments.shared.sampling import CHUNK as CHUNK
from experiments.shared.sampling import LARGE_VOCABULARY as LARGE_VOCABULARY
from experiments.shared.sampling import decoded, sampling_of, split_model
from experiments.shared.trained import Way, score_function
from experiments.shared.writers import Writer
from rlhf_jax.evals import policy
from rlhf_jax.evals.language import make_text_loss
from rlhf_jax.rollout.generate import make_collect
from rlhf_jax.rollout.repeat import grouped
from rlhf_jax.rollout.scoring import make_hash_reward, make_pm_reward
from rlhf_jax.train.control import with_controller
from rlhf_jax.train.finite import with_guard
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.pieces import make_pieces
from rlhf_jax.train.ppo import make_ppo_iteration
from rlhf_jax.train.sharded import jit_collect

HASH_SCALE = 0.4  # of the null study's rewards, in log-odds


class Scorers(NamedTuple):
  """The rewards of a run: its train PM's and its test PM's.

  Attributes:
    functions: (train, test), each (weights, tokens_BT, prompt_length_B,
      length_B) -> score_B; equal ones are one object.
    weights: (train, test).
    size: label of the train PM; '' of hashed rewards.
  """

  functions: tuple
  weights: tuple
  size: str


def _collect(functions, sampling):
  return make_collect(
    sampling, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
  )


@functools.cache
def sampler(functions, label, sampling, mesh=None):
  """Jitted sampler of a language model: (params, prompts, rng) -> Rollout."""
  collect = _collect(functions, sampling)
  return jit_of_rows(collect, f'sample_{label}', mesh, jit_collect)


@functools.cache
def _pm_reward(functions, way, end_of_context_id, eos_id, stop_ids):
  return make_pm_reward(
    score_function(functions, way),
    reads_prompt=True,
    end_of_context_id=end_of_context_id,
    eos_id=eos_id,
    stop_ids=tuple(i for i in stop_ids if i != eos_id),
  )


_hash_reward = functools.cache(make_hash_reward)


def writer_of(base, max_reply) -> Writer:
  """A Base as a Writer, with the paper's sampler."""
  sampling = sampling_of(base.tokenizer, max_reply)
  sample = sampler(base.functions, base.size, sampling)
  return Writer(sample, base.params, base.tokenizer, decoded)


def scorers_of(config, base, networks, mesh, asked=()) -> Scorers:
  """The Scorers of a PPO run: two preference models, or noise.

  Args:
    config: seed, half; they number the noise.
    base: Base of the policy.
    networks: of `models.open_scorers`; () for noise.
    mesh: of `devices.mesh_from`.
    asked: training prompts, of an ensemble's zero (see `ensembles`).

  Raises:
    ValueError: if a preference model has another vocabulary than the policy.
  """
  if not networks:
    seeds = [np.uint32(2 * config['seed'] + i) for i in range(2)]
    seeds = seeds if config['half'] == 'a' else seeds[::-1]
    noise = _hash_reward(HASH_SCALE)
    return Scorers((noise, noise), spread(tuple(seeds), mesh), '')
  ids, rows = base.tokenizer, base.functions.config.vocab_size
  for pm in networks:
    theirs = pm.functions.config.vocab_size
    if theirs != rows:
      raise ValueError(
        f'the PM of size {pm.size} reads {theirs} tokens and the policy '
        f'writes {rows}: wanted one with the tokenizer of the policy'
      )
  stops = ids.end_of_context_id, ids.eos_id, tuple(ids.stop_ids)
  functions = [_pm_reward(pm.functions, pm.way, *stops) for pm in networks]
  weights = [(pm.frozen, pm.trained) for pm in networks]
  if config.get('ensemble_dirs'):
    own = sampling_of(ids, config['max_reply'], config['temperature'])
    sample = sampler(base.functions, base.size, own, mesh)
    members = [0, *range(2, len(networks))]
    functions[0], weights[0] = ensembles.reward_of(
      config,
      base,
      [(networks[i], functions[i], weights[i]) for i in members],
      sample,
      asked,
    )
  return Scorers(tuple(functions[:2]), tuple(weights[:2]), networks[0].size)


@functools.cache
def _jitted_reward(function, label, mesh):
  return jit_measure(function, f'pm_reward_{label}', mesh)


def scorer_of(base, pm, mesh=None):
  """Rollout -> score_B of a preference model, compiled once a size.

  Args:
    base: Base of whoever wrote the replies.
    pm: Network.
    mesh: of `devices.mesh_from`, on which the Network lives.
  """
  scorers = scorers_of({}, base, [pm, pm], None)
  reward = _jitted_reward(scorers.functions[0], pm.size, mesh)
  return lambda rollout: np.asarray(reward(scorers.weights[0], *rollout[:3]))


@functools.cache
def ppo_pieces(
  functions,
  way: Way,
  reward,
  sampling,
  b2,
  update,
  algorithm='ppo',
  group=None,
  recipe=None,
):
  """The five pieces of a policy and a value network of its size, not jitted.

  Args:
    functions: `build`'s Model of both.
    way: Way of both.
    reward: of `Scorers.functions`.
    sampling: SamplingConfig.
    b2: of Adam.
    update: (passes, minibatch_size, microbatches, scoring_parts).
    algorithm: of `make_pieces`.
    group: replies to each prompt, without a value network; None: with one.
    recipe: `recipes.Recipe` of what is there besides, or None.

  Returns:
    Pieces: collect, score, penalise, estimate, update.
  """
  passes, minibatch_size, microbatches, parts = update
  policy, tx, own = split_model(functions), make_optimiser(b2=b2), {}
  if recipe:
    tx, own = recipe.optimiser(b2), recipe.options(policy, microbatches)
  return make_pieces(
    generate=grouped(_collect(functions, sampling), group),
    policy=policy,
    value_fn=functions.value_fn if group is None else None,
    reward=reward,
    tx=tx,
    sampling=sampling,
    passes=passes,
    minibatch_size=minibatch_size,
    microbatches=microbatches,
    scoring_parts=parts,
    attach=way.attach,
    merge=way.merge,
    rescore=functions.config.matmul != 'float32',
    group=group,
    algorithm=algorithm,
    **own,
  )


@functools.cache
def ppo_iteration(
  label,
  collect,
  score,
  penalise,
  estimate,
  update,
  mesh,
  on_nonfinite='stop',
  controller=None,
):
  """Jitted whole PPO iteration of the five pieces, one after the other.

  With a Controller it is one of a ControlledState.
  """
  iteration = make_ppo_iteration(collect, score, penalise, estimate, update)
  if controller:
    iteration = with_controller(iteration, controller)
  iteration = with_guard(iteration, on_nonfinite)
  return jit_step(iteration, f'ppo_iteration_{label}', mesh)


@functools.cache
def policy_eval(
  functions, way: Way, label, rewards, sampling, parts, mesh, divergences=True
):
  """Jitted evaluation of what a policy has trained, by train PM and test PM.

  evaluate(trained, ref, reward_params, prompts, rng); see `make_evaluate`.
  Without `divergences` the scores alone: half the work, for many replies of
  pi_0.
  """
  evaluate = policy.make_policy_evaluation(
    _collect(functions, sampling),
    split_model(functions) if divergences else None,
    rewards,
    sampling,
    parts=parts,
    merge=way.merge,
  )

  def measured(trained, ref, reward_params, prompts, rng):
    return evaluate(trained, ref, reward_params, prompts, rng, base=ref)

  name = 'policy_eval' if divergences else 'pi0_scores'
  return jit_read(measured, f'{name}_{label}', mesh)


@functools.cache
def text_loss(functions, label, mesh=None):
  """Jitted loss of held-out texts, see `make_text_loss`."""
  loss = make_text_loss(split_model(functions))
  return jit_measure(loss, f'lm_loss_{label}', mesh)


def evaluation_of(config, base, way, scorers, mesh, divergences=True):
  """The `policy_eval` of a PPO run's config."""
  sampling = sampling_of(
    base.tokenizer, config['max_reply'], config['temperature']
  )
  return policy_eval(
    base.functions,
    way,
    base.size,
    scorers.functions,
    sampling,
    config['scoring_parts'],
    mesh,
    divergences,
  )
