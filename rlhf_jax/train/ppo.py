"""PPO in named pieces: collect, score, penalise, estimate, update.

Each piece is a pure function; `make_ppo_iteration` composes them into one that
can be jitted whole. With a reward in plain Python the caller runs `collect`,
judges the text on the host, and hands the scores to `make_learn`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.losses import advantages, chunked, kl, masked, ppo
from rlhf_jax.mapping import map_microbatches
from rlhf_jax.train.finite import row_flags
from rlhf_jax.train.ppo_update import reply_mask
from rlhf_jax.train.rollout_stats import first_update, rollout_stats
from rlhf_jax.types import Experience, MixedBatch


class Frozen(NamedTuple):
  """Parameters that an iteration reads but never changes.

  Attributes:
    ref: parameters of pi_0.
    reward: parameters of the reward.
    base: where adapters are trained, the parameters under them, a tree for each
      of the joint params: {'policy', 'value'}. It may be the same arrays as
      `ref`: a program does not copy an array that it is given twice.
  """

  ref: Any
  reward: Any
  base: Any = None


def _given(**options):
  """Options that are there: a plain piece knows of no others."""
  return {name: x for name, x in options.items() if x is not None}


def make_reply_logps(
  logits_fn, *, temperature=1.0, microbatches=1, max_reply=None
):
  """Builds logps(params, rollout) -> logp_BT of the reply tokens, in nats.

  What other columns hold has no meaning. The arguments are those of
  `make_penalise`.
  """
  model = chunked.split_model(logits_fn)

  def part_logps(part, params):
    return chunked.token_logps(
      model,
      params,
      chunked.on_replies(model.hidden_fn, params, *part, max_reply),
      *part,
      temperature=temperature,
      max_reply=max_reply,
    )

  def logps(params, rollout):
    rows = (rollout.tokens_BT, rollout.prompt_length_B, rollout.length_B)
    return map_microbatches(part_logps, rows, microbatches, params)

  return logps


def make_penalise(
  ref_logits_fn,
  *,
  temperature=1.0,
  microbatches=1,
  max_reply=None,
  in_reward=True,
):
  """Builds penalise(ref_params, rollout, score_B, hyper) -> (reward_BT, kl_BT).

    r[t] = - lambda_KL (log pi(t) - log pi_0(t)) + 1[t last] (g score + b)

  with the gain g and the bias b of `hyper`, 1 and 0 by default.

  Reference: Bai et al. 2022, section 4.1, per token as in Stiennon et al. 2020.
  pi_0 is scored at the temperature of the sampler, so that equal models have no
  penalty at any temperature. `kl_BT` is the k1 that was penalised, in nats.

  Args:
    ref_logits_fn: (params, tokens_BT, length_B) -> logits_BTV, or a SplitModel.
    temperature: the sampler's.
    microbatches: the forward pass runs in this many parts.
    max_reply: tokens of the longest reply, R: the last layer and the logits
      are made for R positions a row in place of all T. A longer reply gives
      NaN.
    in_reward: whether the reward has the penalty; if not, the loss has it, and
      kl_BT says what it starts from.
  """
  ref_logps = make_reply_logps(
    ref_logits_fn,
    temperature=temperature,
    microbatches=microbatches,
    max_reply=max_reply,
  )

  def penalise(ref_params, rollout, score_B, hyper):
    ref_logp_BT = ref_logps(ref_params, rollout)
    mask_BT = reply_mask(rollout)
    score_B = ppo.scaled_scores(score_B, hyper.reward_gain, hyper.reward_bias)
    score_B = ppo.truncation_adjusted(
      score_B, rollout.ended_B, hyper.truncation_penalty
    )
    reward_BT = ppo.kl_penalised_rewards(
      score_B,
      rollout.logp_BT,
      ref_logp_BT,
      mask_BT,
      hyper.kl_coef if in_reward else 0.0,
    )
    kl_BT = jnp.where(mask_BT > 0, kl.kl_k1(rollout.logp_BT, ref_logp_BT), 0.0)
    return reward_BT, kl_BT

  return penalise


def make_estimate(value_fn, *, microbatches=1, max_reply=None, whiten=False):
  """Builds estimate(params, rollout, reward_BT, hyper) -> Experience.

  Advantages by GAE (gamma, lambda of `hyper`), with the values of the current
  value function; log-probabilities are the sampler's, frozen here.

  Args:
    value_fn: (joint params, tokens_BT, length_B) -> raw value_BT; with read_BS,
      of those columns.
    microbatches: the forward pass runs in this many parts.
    max_reply: as in `make_penalise`.
    whiten: whether rewards of the batch get variance 1 first, their
      mean kept (Ziegler et al. 2019); the KL penalty is rescaled with them.
  """

  def estimate(params, rollout, reward_BT, hyper):
    T = rollout.tokens_BT.shape[1]

    def values(part, params):
      raw = chunked.on_replies(value_fn, params, *part, max_reply)
      return chunked.align_replies(raw, *part[1:], T, max_reply)

    rows = (rollout.tokens_BT, rollout.prompt_length_B, rollout.length_B)
    value_BT = map_microbatches(values, rows, microbatches, params)
    mask_BT = reply_mask(rollout)
    if whiten:
      reward_BT = masked.masked_whiten(reward_BT, mask_BT, shift_mean=False)
    advantage_BT, return_BT = advantages.gae_batch(
      reward_BT,
      value_BT,
      mask_BT,
      discount=hyper.discount,
      gae_lambda=hyper.gae_lambda,
    )
    return Experience(
      tokens_BT=rollout.tokens_BT,
      prompt_length_B=rollout.prompt_length_B,
      length_B=rollout.length_B,
      old_logp_BT=rollout.logp_BT,
      old_value_BT=jnp.where(mask_BT > 0, value_BT, 0.0),
      advantage_BT=advantage_BT,
      return_BT=return_BT,
    )

  return estimate


def rollout_metrics(rollout, score_B, kl_BT):
  """Means over replies: score, KL (k1, nats), length, share cut at the cap.

  Beside them those of `rollout_stats`, how many scores are not finite, and the
  first of these rows.
  """
  reply_B = rollout.length_B - rollout.prompt_length_B
  return {
    'score': score_B.mean(),
    'kl_k1': kl_BT.sum(1).mean(),
    'length': reply_B.mean(dtype=jnp.float32),
    'truncated': 1.0 - rollout.ended_B.mean(dtype=jnp.float32),
    **rollout_stats(rollout, score_B, kl_BT, reply_mask(rollout)),
    **row_flags(score_B),
  }


def make_learn(penalise, estimate, update):
  """Builds learn(state, ref_params, rollout, score_B, rng, hyper).

  Everything after the score, so a Python reward fits in between.

  Returns:
    The function, giving (state, metrics of scalars). It takes `base`, as of
    `Frozen`, and `mixed_batch`, as of `ppo_update.make_ppo_update`.
  """

  def learn(
    state, ref_params, rollout, score_B, rng, hyper, base=None, mixed_batch=None
  ):
    score_B, over = jnp.asarray(score_B, jnp.float32), _given(base=base)
    mixed = _given(mixed_batch=mixed_batch)
    reward_BT, kl_BT = penalise(ref_params, rollout, score_B, hyper)
    experience = estimate(state.params, rollout, reward_BT, hyper, **over)
    ref_logp_BT = rollout.logp_BT - kl_BT  # PPO does not read it
    experience = experience._replace(ref_logp_BT=ref_logp_BT)
    mask_BT = reply_mask(experience)
    explained = ppo.explained_variance(
      experience.old_value_BT, experience.return_BT, mask_BT
    )
    state, steps = update(state, experience, rng, hyper, **over, **mixed)
    metrics = {name: values.mean() for name, values in steps.items()}
    metrics |= first_update(steps)
    metrics |= rollout_metrics(rollout, score_B, kl_BT)
    return state, {**metrics, 'explained_variance': explained}

  return learn


def make_ppo_iteration(collect, score, penalise, estimate, update):
  """One whole iteration as a pure function, to be jitted and donated.

  The five are those of `train.pieces.make_pieces`, or of the makers here.

  Args:
    collect: (params, prompts, rng) -> Rollout, of the joint params.
    score: (reward_params, tokens_BT, prompt_length_B, length_B) -> score_B.
    penalise: of `make_penalise`.
    estimate: of `make_estimate`.
    update: of `ppo_update.make_ppo_update`.

  Returns:
    iteration(state, frozen, prompts, rng, hyper) -> (state, metrics). Sampling
    uses fold_in(fold_in(rng, 0), step), the minibatch order fold_in(rng, 1).
    Where `frozen` has a base, collect, estimate and update get it as `base`;
    where `prompts` are a MixedBatch of Prompts and others, update gets those.
  """
  learn = make_learn(penalise, estimate, update)

  def iteration(state, frozen, prompts, rng, hyper):
    over, mixed = _given(base=frozen.base), {}
    if isinstance(prompts, MixedBatch):
      prompts, mixed = prompts.batch, {'mixed_batch': prompts.mixed}
    sample_rng = jax.random.fold_in(jax.random.fold_in(rng, 0), state.step)
    rollout = collect(state.params, prompts, sample_rng, **over)
    score_B = score(frozen.reward, *rollout[:3])  # tokens, both lengths
    rng = jax.random.fold_in(rng, 1)
    return learn(
      state, frozen.ref, rollout, score_B, rng, hyper, **over, **mixed
    )

  return iteration
