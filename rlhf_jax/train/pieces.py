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

from rlhf_jax.train import ppo, rloo
from rlhf_jax.train.adapters import bind
from rlhf_jax.train.optimiser import map_microbatches


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


def whole(base, trained):
  """Combination of full training: what is trained is all there is."""
  del base
  return trained


def _under(base, name):
  """The frozen tree under one of the joint params."""
  return None if base is None else base[name]


def _pick(function, name):
  """A function of the joint params from one of the tree called `name`."""
  return bind(function, lambda _, params: params[name], None)


def _make_score(reward, parts):
  """Builds score(reward_params, *rows) -> score_B."""
  score_part = lambda part, weights: reward(weights, *part)
  return lambda weights, *rows: map_microbatches(
    score_part, rows, parts, weights
  )


def _make_estimate(value_fn, attach, group, **options):
  """Builds estimate(params, rollout, reward_BT, hyper, base=None)."""
  if value_fn is None:
    plain = rloo.make_rloo_estimate(group)
    return lambda *args, base=None: plain(*args)

  def estimate(params, rollout, reward_BT, hyper, base=None):
    value = bind(value_fn, attach, _under(base, 'value'))
    plain = ppo.make_estimate(_pick(value, 'value'), **options)
    return plain(params, rollout, reward_BT, hyper)

  return estimate


def _make_update(policy, value_fn, attach, tx, **options):
  """Builds update(state, experience, rng, hyper, base=None)."""
  critic = value_fn is not None

  def update(state, experience, rng, hyper, base=None):
    trained = bind(policy, attach, _under(base, 'policy'))
    if critic:
      value = bind(value_fn, attach, _under(base, 'value'))
      trained = ppo.separate(trained, value)
    else:
      trained = _pick(trained, 'policy')
    plain = ppo.make_ppo_update(trained, tx, critic=critic, **options)
    return plain(state, experience, rng, hyper)

  return update


def make_pieces(
  *,
  generate,
  policy,
  value_fn,
  reward,
  tx,
  sampling,
  passes,
  minibatch_size,
  microbatches=1,
  scoring_parts=1,
  attach=whole,
  merge=whole,
  group=None,
):
  """Builds the Pieces of a policy and its value network.

  Args:
    generate: of `make_collect`, with `sampling`.
    policy: logits_fn or SplitModel.
    value_fn: (params, tokens_BT, length_B) -> raw value_BT; with read_BS, of
      those columns. None: no critic, advantages are those of RLOO.
    reward: (reward_params, tokens_BT, prompt_length_B, length_B) -> score_B.
    tx: optimiser of `make_optimiser`.
    sampling: SamplingConfig of the replies: they are scored at its temperature,
      and logits are made for its `max_reply` positions a row.
    passes: of `make_ppo_update`.
    minibatch_size: of `make_ppo_update`.
    microbatches: of `make_ppo_update`.
    scoring_parts: the forward passes of reward, pi_0 and value network run over
      this many parts of the batch.
    attach: combine(base, trained) -> params, of whatever has gradients.
    merge: combine(base, trained) -> params, of sampling: once an iteration, so
      that a token costs what it costs the base.
    group: replies to each prompt, without a critic (see `train.rloo`).

  Raises:
    ValueError: if the sampler cuts its distribution (top-k, top-p), or if there
      is neither a critic nor a group.
  """
  scored = sampling.scored()
  if (value_fn is None) != (group is not None):
    raise ValueError(
      f'wanted a value_fn or the size of a group, got {value_fn} and {group}'
    )

  def collect(params, prompts, rng, base=None):
    sampled = merge(_under(base, 'policy'), params['policy'])
    return generate(sampled, prompts, rng)

  return Pieces(
    collect=collect,
    score=_make_score(reward, scoring_parts),
    penalise=ppo.make_penalise(policy, microbatches=scoring_parts, **scored),
    estimate=_make_estimate(
      value_fn,
      attach,
      group,
      microbatches=scoring_parts,
      max_reply=scored['max_reply'],
    ),
    update=_make_update(
      policy,
      value_fn,
      attach,
      tx,
      passes=passes,
      minibatch_size=minibatch_size,
      microbatches=microbatches,
      **scored,
    ),
  )
