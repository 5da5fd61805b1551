"""PPO's update: a loss over minibatches of frozen experience, and its steps."""

import jax
import jax.numpy as jnp

from rlhf_jax.losses import chunked, masked, ppo
from rlhf_jax.mapping import split_rows
from rlhf_jax.train.objectives import (
  Objective,
  mixed_gradients,
  whole,
)
from rlhf_jax.train.steps import advance
from rlhf_jax.types import MixedBatch, SplitModel


def reply_mask(rows):
  """mask_BT, 1 on reply tokens, of a Rollout or an Experience."""
  T = rows.tokens_BT.shape[1]
  return masked.reply_mask(rows.prompt_length_B, rows.length_B, T)


def separate(logits_fn, value_fn=None):
  """Joint function of a policy and a value network with their own weights.

  Args:
    logits_fn: of the policy, or a SplitModel.
    value_fn: of the value network; None: there is none.

  Returns:
    logits_and_value_fn(params, tokens_BT, length_B) -> (logits_BTV, value_BT)
    for params {'policy': ..., 'value': ...}; of a SplitModel, a SplitModel
    with (hidden_BTD, value_BT) for its hidden states. Without a value network,
    of {'policy': ...} and without values.
  """

  def joint(policy_fn):
    def policy(params, *rows, **read):
      return policy_fn(params['policy'], *rows, **read)

    def both(params, *rows, **read):
      value = value_fn(params['value'], *rows, **read)
      return policy(params, *rows, **read), value

    return both if value_fn else policy

  if not isinstance(logits_fn, SplitModel):
    return joint(logits_fn)
  return logits_fn._replace(
    hidden_fn=joint(logits_fn.hidden_fn),
    head_fn=lambda params, hidden: logits_fn.head_fn(params['policy'], hidden),
  )


def make_ppo_loss(
  logits_and_value_fn,
  hyper,
  *,
  temperature=1.0,
  max_reply=None,
  critic=True,
  how='token_mean',
  kl_in_loss=False,
):
  """Builds loss(params, Experience) -> (loss, stats).

    L = policy_loss + value_coef * value_loss [+ kl_coef * kl_loss]

  All are means over reply tokens; without a critic there is no second.

  Args:
    logits_and_value_fn: (params, tokens_BT, length_B) -> (logits, raw values),
      or a SplitModel whose hidden_fn gives (hidden states, raw values).
    hyper: PPOHyper.
    temperature: the sampler's.
    max_reply: as in `make_penalise`.
    critic: whether there are values. Without, the function is a logits_fn or
      its SplitModel.
    how: 'token_mean' or 'sequence_mean', of the policy loss and its penalty.
    kl_in_loss: whether there is a penalty, and so none in the rewards (GRPO).
  """
  model = chunked.split_model(logits_and_value_fn)

  def value_loss(raw, part, mask_BT):
    T = mask_BT.shape[1]
    value_BT = chunked.align_replies(raw, *part[1:3], T, max_reply)
    return ppo.value_loss(
      value_BT,
      part.old_value_BT,
      part.return_BT,
      mask_BT,
      hyper.value_clip,
    )

  def loss_fn(params, part):
    mask_BT = reply_mask(part)
    rows = part[:3]  # tokens, both lengths
    hidden = chunked.on_replies(model.hidden_fn, params, *rows, max_reply)
    hidden, raw = hidden if critic else (hidden, None)
    logp_BT = chunked.token_logps(
      model,
      params,
      hidden,
      *rows,
      temperature=temperature,
      max_reply=max_reply,
    )
    policy, stats = _policy_loss(logp_BT, part, hyper, how, kl_in_loss)
    if not critic:
      return policy, stats
    value = value_loss(raw, part, mask_BT)
    return policy + hyper.value_coef * value, {**stats, 'value_loss': value}

  return loss_fn


def _policy_loss(logp_BT, part, hyper, how, kl_in_loss):
  """(Policy loss, and the penalty where it is in the loss; stats)."""
  mask_BT = reply_mask(part)
  policy, stats = ppo.policy_loss(
    logp_BT, part.old_logp_BT, part.advantage_BT, mask_BT, hyper.clip, how
  )
  stats = {**stats, 'policy_loss': policy}
  if not kl_in_loss:
    return policy, stats
  penalty = ppo.kl_loss(logp_BT, part.ref_logp_BT, mask_BT, how)
  return policy + hyper.kl_coef * penalty, {**stats, 'kl_loss': penalty}


def make_ppo_objective(
  logits_and_value_fn, hyper, *, microbatches=1, how='token_mean', **options
):
  """Objective of `make_ppo_loss`: over reply tokens, or over replies.

  Args:
    logits_and_value_fn: of `make_ppo_loss`.
    hyper: PPOHyper.
    microbatches: parts a minibatch's gradient is accumulated over.
    how: of `make_ppo_loss`: what every part weighs by.
    **options: of `make_ppo_loss`.
  """
  loss_fn = make_ppo_loss(logits_and_value_fn, hyper, how=how, **options)

  def weight_fn(part):
    mask_BT = reply_mask(part)
    if how == 'token_mean':
      return mask_BT.sum()
    return mask_BT.any(1).sum()

  return Objective(loss_fn, weight_fn, microbatches)


def _rates(params, hyper):
  """A learning rate for each network, or one for a shared trunk."""
  if isinstance(params, dict) and set(params) == {'policy', 'value'}:
    return {
      'policy': hyper.policy_learning_rate,
      'value': hyper.value_learning_rate,
    }
  return hyper.policy_learning_rate


def make_ppo_update(
  logits_and_value_fn,
  tx,
  *,
  passes,
  minibatch_size,
  critic=True,
  combine=whole,
  mixed=None,
  advance=advance,
  **options,
):
  """Builds update(state, Experience, rng, PPOHyper) -> (state, metrics).

  K inner passes over the batch, each in another order, in minibatches; the old
  log-probabilities and values stay frozen. Advantages get masked mean 0 and
  variance 1 in each minibatch, but not those of `train.rloo`; rewards do not.

  Args:
    logits_and_value_fn: of `make_ppo_loss`.
    tx: optimiser over the union of the trainable trees.
    passes: K (Bai et al. 2022, appendix B.1: 1, 2 or 4).
    minibatch_size: rows a minibatch; must divide the batch.
    critic: of `make_ppo_loss`; without, advantages are taken as they come.
    combine: (base, params) -> what the function takes, where some of it is
      frozen: the update takes `base` then.
    mixed: Objective whose gradient is added, times `hyper.mixed_coef`: the
      update takes a batch of it as `mixed_batch` then, of which every
      minibatch has the next rows, so that each is seen once an iteration.
    advance: an optimiser update; `train.averaging` has one that averages.
    **options: of `make_ppo_objective`.

  Returns:
    The function. Each metric is an array [passes * minibatches], in order.
  """

  def update(state, experience, rng, hyper, base=None, mixed_batch=None):
    B = experience.length_B.shape[0]
    rng = jax.random.fold_in(rng, state.step)
    objective = make_ppo_objective(
      logits_and_value_fn, hyper, critic=critic, **options
    )
    rows_of = minibatches(rng, B, passes, minibatch_size)
    mixed_parts = _mixed_parts(mixed, mixed_batch, len(rows_of))

    def one(state, rows_and_mixed):
      rows, mixed_part = rows_and_mixed
      part = jax.tree.map(lambda x: jnp.take(x, rows, axis=0), experience)
      part = _whitened(part) if critic else part
      if mixed is not None:
        part = MixedBatch(part, mixed_part)
      grads, metrics = mixed_gradients(
        objective, mixed, state.params, part, hyper.mixed_coef, base, combine
      )
      state, grad_norm = advance(state, grads, tx, _rates(state.params, hyper))
      return state, {**metrics, 'grad_norm': grad_norm}

    return jax.lax.scan(one, state, (rows_of, mixed_parts))

  return update


def _whitened(part):
  """Experience whose advantages have masked mean 0 and variance 1."""
  whitened_BT = masked.masked_whiten(part.advantage_BT, reply_mask(part))
  return part._replace(advantage_BT=whitened_BT)


def _mixed_parts(mixed, batch, count):
  """Rows of the second batch for each minibatch; None without an objective."""
  if (mixed is None) != (batch is None):
    raise ValueError(
      'wanted a second batch and an Objective of it, or neither, got '
      f'{"a batch alone" if mixed is None else "an Objective alone"}'
    )
  return None if mixed is None else split_rows(batch, count)


def minibatches(rng, B, passes, minibatch_size):
  """Row numbers [passes * B / minibatch_size, minibatch_size].

  Every pass is a fresh permutation; every row occurs once a pass.

  Raises:
    ValueError: if the minibatches do not divide the batch.
  """
  if B % minibatch_size:
    raise ValueError(
      f'minibatches of {minibatch_size} rows do not divide a batch of {B}'
    )
  order = [
    jax.random.permutation(jax.random.fold_in(rng, p), B) for p in range(passes)
  ]
  return jnp.concatenate(order).reshape(-1, minibatch_size)
