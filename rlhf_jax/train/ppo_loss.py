"""The loss of a PPO minibatch."""

from rlhf_jax.losses import chunked, masked, ppo


def reply_mask(rows):
  """mask_BT, 1 on reply tokens, of a Rollout or an Experience."""
  T = rows.tokens_BT.shape[1]
  return masked.reply_mask(rows.prompt_length_B, rows.length_B, T)


def make_ppo_loss(
  logits_and_value_fn, hyper, *, temperature=1.0, max_reply=None, critic=True
):
  """Builds loss(params, Experience) -> (loss, stats).

    L = policy_loss + value_coef * value_loss

  Both are means over reply tokens; without a critic there is the first alone.
  The arguments are those of `make_ppo_update`.
  """
  model = chunked.split_model(logits_and_value_fn)

  def value_loss(raw, part, mask_BT):
    value_BT = chunked.align_replies(
      raw, *part[1:3], mask_BT.shape[1], max_reply
    )
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
    policy, stats = ppo.policy_loss(
      logp_BT, part.old_logp_BT, part.advantage_BT, mask_BT, hyper.clip
    )
    stats = {**stats, 'policy_loss': policy}
    if not critic:
      return policy, stats
    value = value_loss(raw, part, mask_BT)
    return policy + hyper.value_coef * value, {**stats, 'value_loss': value}

  return loss_fn
