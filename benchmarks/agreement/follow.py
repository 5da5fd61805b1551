"""Our RLOO, GRPO and DPO on the batches of a peer, with weights of our own.

Of the peer only the tokens are taken: what it sampled, or the pairs that it
drew, in its order. Log-probabilities, advantages, losses, gradients and Adam's
moments are ours from the first update to the last, so that whatever differs
adds up from update to update.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.agreement import losses
from rlhf_jax.losses import kl, masked
from rlhf_jax.losses.ppo import policy_loss
from rlhf_jax.train import direct, ppo, rloo
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.ppo_update import make_ppo_update, reply_mask, separate
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import DirectHyper, PPOHyper

NORM = 'norm of the gradient'  # of a whole batch, before it is clipped
CLIPPED = 'share of tokens clipped'


class Way(NamedTuple):
  """One algorithm in pure functions.

  Attributes:
    first: params of pi_0 -> state.
    prepare: (params, found) -> batch, with log-probabilities and advantages.
    numbers: (params, batch) -> {name: array} before the update.
    make_update: parts of a gradient -> update(state, batch, rate), which gives
      (state, {name: scalar}).
    theirs: (found) -> {name: array}, what the peer has under these names.
    passes: updates on one batch.
  """

  first: Any
  prepare: Any
  numbers: Any
  make_update: Any
  theirs: Any
  passes: int = 1


def optimiser_of(curve):
  """Adam as both are told."""
  return make_optimiser(
    b1=curve.b1, b2=curve.b2, eps=curve.eps, max_grad_norm=curve.max_grad_norm
  )


def hyper_of(curve, rate):
  """PPOHyper of an update."""
  return PPOHyper(rate, 0.0, kl_coef=curve.beta, clip=curve.clip)


def _make_prepare(which, logits_fn, ref, worth_V, curve):
  """Builds prepare(params, found) -> Experience, of RLOO or GRPO."""
  logps = ppo.make_reply_logps(logits_fn)
  in_reward = which == 'rloo'
  penalise = ppo.make_penalise(logits_fn, in_reward=in_reward)
  estimates = {'rloo': rloo.make_rloo_estimate, 'grpo': rloo.make_grpo_estimate}
  estimate = estimates[which](curve.group)

  def prepare(params, found):
    rollout = losses.rollout_of(found)
    mask_BT = reply_mask(rollout)
    logp_BT = logps(params['policy'], rollout) * mask_BT
    rollout = rollout._replace(logp_BT=logp_BT)
    score_B = (worth_V[rollout.tokens_BT] * mask_BT).sum(1)
    hyper = hyper_of(curve, 0.0)
    reward_BT, kl_BT = penalise(ref, rollout, score_B, hyper)
    experience = estimate({}, rollout, reward_BT, hyper)
    return experience._replace(ref_logp_BT=rollout.logp_BT - kl_BT)

  return prepare


def _make_update(which, logits_fn, curve, parts):
  """Builds update(state, Experience, rate) -> (state, metrics), likewise."""
  plain = make_ppo_update(
    separate(logits_fn),
    optimiser_of(curve),
    passes=1,
    minibatch_size=curve.rows,
    microbatches=parts,
    **rloo.LOSSES[which],
  )

  def update(state, experience, rate):
    if which == 'rloo':  # the peer's is a mean over replies of sums
      mask_BT = reply_mask(experience)
      factor = mask_BT.sum() / mask_BT.shape[0]
      advantage_BT = experience.advantage_BT * factor
      experience = experience._replace(advantage_BT=advantage_BT)
    hyper = hyper_of(curve, rate)
    state, metrics = plain(state, experience, jax.random.key(0), hyper)
    return state, {name: x[0] for name, x in metrics.items()}

  return update


def _way_of_replies(which, logits_fn, ref, worth_V, curve, **own):
  """Way of RLOO or GRPO, without what is its own."""
  tx = optimiser_of(curve)
  return Way(
    first=lambda params: init_state({'policy': params}, tx),
    prepare=_make_prepare(which, logits_fn, ref, worth_V, curve),
    make_update=lambda parts: _make_update(which, logits_fn, curve, parts),
    **own,
  )


def advantage_of(experience):
  """advantage_B of an Experience whose tokens have that of their reply."""
  return experience.advantage_BT.max(1) + experience.advantage_BT.min(1)


def rloo_way(*told):
  """Way of RLOO: (logits_fn, params of pi_0, worth_V, Curve)."""

  def numbers(params, experience):
    del params  # the one update of a batch begins where it was sampled
    mask_BT = reply_mask(experience)
    logp_B = experience.old_logp_BT.sum(1)
    k1_BT = kl.kl_k1(experience.old_logp_BT, experience.ref_logp_BT)
    advantage_B = advantage_of(experience)
    return {
      'log pi of a reply': logp_B,
      'KL of a token, k1': masked.masked_mean(k1_BT, mask_BT),
      'advantage': advantage_B,
      'mean of A log pi': (advantage_B * logp_B).mean(),
    }

  def theirs(found):
    return {
      'log pi of a reply': found['old_logps'],
      'KL of a token, k1': found['metric_kl'],
      'advantage': found['advantages'],
      'mean of A log pi': (found['advantages'] * found['old_logps']).mean(),
    }

  return _way_of_replies('rloo', *told, numbers=numbers, theirs=theirs)


def grpo_way(logits_fn, ref, worth_V, curve):
  """Way of GRPO."""
  logps = ppo.make_reply_logps(logits_fn)

  def numbers(params, experience):
    mask_BT = reply_mask(experience)
    now_BT = logps(params['policy'], experience) * mask_BT
    ref_BT = experience.ref_logp_BT * mask_BT
    k3_BT = kl.kl_k3(now_BT, ref_BT)
    _, stats = policy_loss(
      now_BT,
      experience.old_logp_BT,
      experience.advantage_BT,
      mask_BT,
      curve.clip,
    )
    return {
      'log pi of a token': experience.old_logp_BT,
      'log-ratio of a token': experience.old_logp_BT - ref_BT,
      'KL of a token, k3': masked.masked_mean(k3_BT, mask_BT),
      'advantage': advantage_of(experience),
      CLIPPED: stats['clip_fraction'],
    }

  def theirs(found):
    P, mask_BR = found['prompt_ids'].shape[1], found['completion_mask']
    old_BR, ref_BR = (
      found[f'{x}_per_token_logps'] * mask_BR for x in ('old', 'ref')
    )
    aligned = lambda x_BR: np.pad(x_BR, ((0, 0), (P, 0)))
    return {
      'log pi of a token': aligned(old_BR),
      'log-ratio of a token': aligned(old_BR - ref_BR),
      'KL of a token, k3': found['metric_kl'],
      'advantage': found['advantages'],
      CLIPPED: found['metric_clip_ratio_region_mean'],
      'loss': found['loss'],
    }

  own = {'numbers': numbers, 'theirs': theirs, 'passes': curve.passes}
  return _way_of_replies('grpo', logits_fn, ref, worth_V, curve, **own)


def dpo_way(logits_fn, ref, worth_V, curve):
  """Way of DPO; `worth_V` is of the others."""
  del worth_V
  logps, tx = direct.make_pair_logps(logits_fn), optimiser_of(curve)

  def prepare(params, found):
    del params
    return losses.pairs_of(found, logps, ref)

  def numbers(params, batch):
    chosen_B, rejected_B = logps(params, batch)
    return {
      'log pi of the better reply': chosen_B.mean(),
      'log pi of the worse reply': rejected_B.mean(),
      'log-ratio of the better reply': (chosen_B - batch.ref_chosen_B).mean(),
      'log-ratio of the worse reply': (
        rejected_B - batch.ref_rejected_B
      ).mean(),
    }

  def make_update(parts):
    step = direct.make_direct_step(logits_fn, tx, microbatches=parts)
    hyper_of = lambda rate: DirectHyper(rate, curve.beta)
    return lambda state, batch, rate: step(
      state, batch, jax.random.key(0), hyper_of(rate)
    )

  def theirs(found):
    reward = {x: found[f'metric_rewards_{x}'] for x in ('chosen', 'rejected')}
    return {
      'log pi of the better reply': found['metric_logps_chosen'],
      'log pi of the worse reply': found['metric_logps_rejected'],
      'log-ratio of the better reply': reward['chosen'] / curve.beta,
      'log-ratio of the worse reply': reward['rejected'] / curve.beta,
      'margin': found['metric_rewards_margins'],
      'loss': found['loss'],
    }

  first = lambda params: init_state(params, tx)
  return Way(first, prepare, numbers, make_update, theirs)


WAYS = {'rloo': rloo_way, 'grpo': grpo_way, 'dpo': dpo_way}


def widened(found, settings):
  """The same with columns to the longest text, so that one program fits all."""
  P, R = settings.prompt_length, settings.reply_length
  width = P + R if 'input_ids' in found else R
  kept = {k: x for k, x in found.items() if np.ndim(x) < 3}
  for name, x in kept.items():
    if np.ndim(x) == 2 and not name.startswith('prompt'):
      kept[name] = np.pad(x, ((0, 0), (0, width - x.shape[1])))
  return kept


def jitted(way):
  """The Way with `prepare` and `numbers` compiled, for several curves."""
  prepare, numbers = jax.jit(way.prepare), jax.jit(way.numbers)
  return way._replace(prepare=prepare, numbers=numbers)


def curve_of(way, params, batches, rates, parts=1):
  """Yields ({name: array} of an update, the policy after it).

  Args:
    way: of `jitted`.
    params: of pi_0.
    batches: what the peer's loss was given, an update each.
    rates: learning rate of each update.
    parts: of a gradient.
  """
  policy = lambda params: params.get('policy', params)
  state, update = way.first(params), jax.jit(way.make_update(parts))
  for i, (found, rate) in enumerate(zip(batches, rates, strict=True)):
    if i % way.passes == 0:
      batch = way.prepare(state.params, found)
    before = way.numbers(state.params, batch)
    state, metrics = update(state, batch, rate)
    told = {NORM: metrics['grad_norm'], **before, **metrics}
    yield jax.device_get((told, policy(state.params)))
