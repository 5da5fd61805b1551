"""FLOPs of what a stage trains: its matrix products, by `models.cost`.

A training step costs three forward passes: one, and two for the gradient. Pads
and evaluations are left out, so that runs compare which were cut or measured
differently; replies of PPO count with all the columns they may have. Where less
than all is trained nothing is said.
"""

import numpy as np

from rlhf_jax.models.cost import forward_flops

TRAINING = 3


def lm_flops(functions, tokens, length) -> float:
  """FLOPs of a language model that reads so many tokens.

  Args:
    functions: `build`'s Model.
    tokens: in all.
    length: of a text, its mean.
  """
  length = max(1, round(float(length)))
  one = forward_flops(functions.config, length) / length
  return float(TRAINING * tokens * one)


def of_pm(config, functions, pairs, seen) -> dict:
  """{'flops'} of a preference model; {} where less than all is trained.

  Of a pair the prompt is read once.

  Args:
    config: of train_pm.
    functions: `build`'s Model.
    pairs: PairArrays that it is trained on.
    seen: how many, repetitions included.
  """
  both_N = pairs.chosen_length_N + pairs.rejected_length_N
  return of_rows(config, functions, both_N - pairs.prompt_length_N, seen)


def of_rows(config, functions, length_N, seen) -> dict:
  """{'flops'} of a preference model that reads rows of some texts.

  Args:
    config: of train_pm.
    functions: `build`'s Model.
    length_N: tokens of a row: a pair, or all candidates of a prompt.
    seen: rows, repetitions included.
  """
  if config['trained'] != 'all':
    return {}
  length = max(1, round(float(length_N.mean())))
  one = forward_flops(functions.config, length, logits=False)
  return {'flops': float(TRAINING * seen * one)}


def of_dpo(config, functions, pairs) -> dict:
  """{'flops'} of a DPO run; {} where less than all is trained.

    2 (steps * batch * 3 + pairs) forward passes: of both sides, the reference
    once

  Args:
    config: of train_dpo.
    functions: `build`'s Model of the policy.
    pairs: whose log-probabilities the reference makes.
  """
  if config['trained'] != 'all':
    return {}
  R, T = config['max_reply'], config['max_prompt'] + config['max_reply']
  seen = config['iterations'] * config['batch_size']
  one = forward_flops(functions.config, T, True, R)
  return {'flops': float(2 * (TRAINING * seen + pairs) * one)}


def of_ppo(config, functions, judge) -> dict:
  """{'flops'} of a PPO run; {} where less than all is trained.

    samples * (sampling + 2 policies + value + judge + passes * 3 * (policy
    + value)) + texts * 3 * policy

  Scored are log-probabilities of the policy and of pi_0, and values, which
  only PPO has; texts are the rows that are mixed in, if any are.

  Args:
    config: of train_ppo.
    functions: `build`'s Model of policy and value network.
    judge: the same of the train PM; None: hashed rewards, which cost nothing.
  """
  if config['trained'] != 'all':
    return {}
  R, T = config['max_reply'], config['max_prompt'] + config['max_reply']
  policy = forward_flops(functions.config, T, True, R)
  critic = config.get('algorithm', 'ppo') == 'ppo'
  value = forward_flops(functions.config, T, False, R) if critic else 0
  judged = forward_flops(judge.config, T + 1, False, 1) if judge else 0
  judged *= 1 + len(config.get('ensemble_dirs', ()))
  learned = config['passes'] * TRAINING * (policy + value)
  each = 3 * policy + value + judged + learned  # sampling reads and writes once
  iteration = config['batch_size'] * each
  if config.get('ptx_coef', 0.0):
    rows = config['ptx_per_episode'] * config['batch_size']
    iteration += rows * TRAINING * forward_flops(functions.config, T)
  return {'flops': float(config['iterations'] * iteration)}


def tell(run, spent, updates, tokens):
  """Says what an update works, for the speed of the run.

  Args:
    run: Run.
    spent: of the functions above, perhaps without 'flops'.
    updates: of the whole run.
    tokens: of an update, or a function of its metrics.
  """
  flops = spent.get('flops')
  run.works(tokens=tokens, flops=flops / updates if flops else None)


def tell_ppo(run, config, spent, updates):
  """The same of PPO, whose tokens are those that are sampled.

  Args:
    run: Run.
    config: iterations, batch_size.
    spent: of `of_ppo`.
    updates: of an iteration.
  """
  replies = config['batch_size'] / updates

  def tokens(metrics):
    length = metrics.get('length')
    return None if length is None else replies * length

  tell(run, spent, config['iterations'] * updates, tokens)


def pair_tokens(chosen_N, rejected_N, prompt_N) -> float:
  """Mean tokens of a pair, from its lengths, the prompt counted once."""
  return float(np.mean(chosen_N + rejected_N - prompt_N))
