"""PPO's five pieces, assembled: collect, score, penalise, estimate, update.

    pieces = make_pieces(generate=..., policy=..., value_fn=..., ...)
    iteration = make_ppo_iteration(*pieces)

The one place where they are put together, so that the sampler's temperature,
the cap on replies, the parts of a forward pass and the weights of the value
network are the same in all of them. It serves full training and adapters over a
frozen base alike: what is trained becomes parameters by `attach` and `merge`,
and in full training those return it as it is.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from rlhf_jax.mapping import map_microbatches
from rlhf_jax.train import ppo, rloo
from rlhf_jax.train.objectives import whole
from rlhf_jax.train.ppo_update import make_ppo_update, reply_mask, separate


class Pieces(NamedTuple):
  """The five pure functions of an iteration, in their order; none is jitted.

  Attributes:
    collect: (params, prompts, rng) -> Rollout.
    score: (reward_params, tokens_BT, prompt_length_B, length_B) -> score_B.
    penalise: (ref_params, rollout, score_B, hyper) -> (reward_BT, kl_BT).
    estimate: (params, rollout, reward_BT, hyper) -> Experience.
    update: (state, Experience, rng, hyper) -> (state, metrics).

  `params` are {'policy', 'value'}, {'policy'} without a critic. Over frozen
  parameters collect, estimate and update take `base`: a tree for each of these.
  """

  collect: Any
  score: Any
  penalise: Any
  estimate: Any
  update: Any


def _joint(combine):
  """combine(base, params) of all the joint trees."""
  return lambda base, params: {
    name: combine(None if base is None else base[name], tree)
    for name, tree in params.items()
  }


def _of_policy(objective):
  """An objective of the joint params, from one of the policy's."""
  return objective._replace(
    loss_fn=lambda params, batch: objective.loss_fn(params['policy'], batch)
  )


def _make_score(reward, parts):
  """Builds score(reward_params, *rows) -> score_B."""
  score_part = lambda part, weights: reward(weights, *part)
  return lambda weights, *rows: map_microbatches(
    score_part, rows, parts, weights
  )


def _rescored(rollout, logps, policy):
  """The rollout with log-probabilities made as pi_0's and the update's are.

  At equal parameters ratios are then 1 and k1 is 0 to the bit, for one more
  forward pass. The sampler's, which reads a token at a time, sum in another
  order: in float32 that is 1e-5 in a ratio, but a rounding to bfloat16 between
  makes it 1e-3 to 1e-2.
  """
  logp_BT = logps(policy, rollout)
  return rollout._replace(
    logp_BT=jnp.where(reply_mask(rollout) > 0, logp_BT, 0.0)
  )


def _make_collect(generate, merged, attached, logps):
  """Builds collect(params, prompts, rng, base=None) -> Rollout."""

  def collect(params, prompts, rng, base=None):
    policy = {'policy': params['policy']}
    rollout = generate(merged(base, policy)['policy'], prompts, rng)
    if logps is None:
      return rollout
    return _rescored(rollout, logps, attached(base, policy)['policy'])

  return collect


ESTIMATES = {'rloo': rloo.make_rloo_estimate, 'grpo': rloo.make_grpo_estimate}
ALGORITHMS = ('ppo', *ESTIMATES)


def _named(algorithm, value_fn, group):
  """(algorithm, its loss); by itself PPO with a value_fn, RLOO with a group.

  Raises:
    ValueError: if there is no such one, or it goes without what it needs.
  """
  if (value_fn is None) != (group is not None):
    raise ValueError(
      f'wanted a value_fn or the size of a group, got {value_fn} and {group}'
    )
  algorithm = algorithm or ('rloo' if value_fn is None else 'ppo')
  if algorithm not in ALGORITHMS or (algorithm == 'ppo') != (group is None):
    raise ValueError(
      f'wanted an algorithm of {ALGORITHMS}, the first with a value_fn and the '
      f'others with a group, got {algorithm!r} with {value_fn} and {group}'
    )
  return algorithm, rloo.LOSSES[algorithm]


def _make_estimate(algorithm, value_fn, combine, group, **options):
  """Builds estimate(params, rollout, reward_BT, hyper, base=None)."""
  if value_fn is None:
    if options['whiten']:
      raise ValueError(
        f'rewards are whitened for a critic, {algorithm} has none'
      )
    plain = ESTIMATES[algorithm](group)
    return lambda *args, base=None: plain(*args)
  plain = ppo.make_estimate(
    lambda params, *rows, **read: value_fn(params['value'], *rows, **read),
    **options,
  )
  return lambda params, *args, base=None: plain(combine(base, params), *args)


def make_pieces(
  *,
  generate,
  policy,
  value_fn,
  reward,
  tx,
  sampling,
  scoring_parts=1,
  attach=whole,
  merge=whole,
  group=None,
  mixed=None,
  rescore=False,
  whiten=False,
  algorithm=None,
  **update,
):
  """Builds the Pieces of a policy and its value network.

  Args:
    generate: of `make_collect`.
    policy: logits_fn or SplitModel.
    value_fn: as of `ppo.make_estimate`, by its own params; None: no critic.
    reward: (reward_params, tokens_BT, prompt_length_B, length_B) -> score_B.
    tx: optimiser of `make_optimiser`.
    sampling: SamplingConfig of the replies, whose temperature scores have too.
    scoring_parts: parts of the batch that a forward pass without gradient has.
    attach: combine(base, trained) -> params, of whatever has gradients.
    merge: combine(base, trained) -> params, of sampling, once an iteration.
    group: replies to each prompt, without a critic (see `train.rloo`).
    mixed: of `make_ppo_update`, an Objective of the policy that is attached.
    rescore: whether the update compares with `_rescored` log-probabilities.
    whiten: rewards, as of `ppo.make_estimate`; it needs a critic.
    algorithm: 'ppo' of a value_fn; 'rloo' (or None) and 'grpo' of a group.
    **update: passes, minibatch_size and all other of `make_ppo_update`.

  Raises:
    ValueError: if the sampler cuts (top-k, top-p), or the algorithm lacks what
      it needs.
  """
  algorithm, loss = _named(algorithm, value_fn, group)
  scored, attached = sampling.scored(), _joint(attach)
  told = {'microbatches': scoring_parts, **scored}
  parts = {'microbatches': scoring_parts, 'max_reply': scored['max_reply']}
  parts |= {'whiten': whiten}
  anew = ppo.make_reply_logps(policy, **told) if rescore else None
  return Pieces(
    collect=_make_collect(generate, _joint(merge), attached, anew),
    score=_make_score(reward, scoring_parts),
    penalise=ppo.make_penalise(policy, in_reward=algorithm != 'grpo', **told),
    estimate=_make_estimate(algorithm, value_fn, attached, group, **parts),
    update=make_ppo_update(
      separate(policy, value_fn),
      tx,
      combine=attached,
      mixed=mixed and _of_policy(mixed),
      **scored | loss | update,
    ),
  )
