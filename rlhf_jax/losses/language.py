"""Log-probabilities, entropy and loss of a language model.

Logits at position t predict token t + 1. What is returned is aligned to the
token it speaks about: column t belongs to token t, and column 0, which nothing
predicts, is 0. Everything is computed in float32, in nats.

`temperature` divides the logits. Pass the one that the tokens were sampled at,
so that the scored distribution is the sampled one.
"""

import numbers

import chex
import jax
import jax.numpy as jnp

from rlhf_jax.losses import masked

# Stands for the log of zero. exp(LOG_FLOOR) is exactly 0 in float32, so only
# the products 0 * log 0 change: from NaN to 0.
LOG_FLOOR = -1e4


def prefix_log_softmax(logits_BTV, temperature=1.0):
  """Log-distribution of every token that a position predicts.

    log_p[b, t, :] = log softmax(logits[b, t, :] / temperature),  t < T - 1

  Args:
    logits_BTV: [B, T, V], any float dtype; position t predicts token t + 1.
    temperature: positive scalar.

  Returns:
    [B, T - 1, V] float32, not below LOG_FLOOR; row t speaks of token t + 1.

  Raises:
    ValueError: if the temperature is a Python number that is not positive.
  """
  chex.assert_rank(logits_BTV, 3)
  logp = jax.nn.log_softmax(_scale(logits_BTV[:, :-1], temperature))
  return jnp.maximum(logp, LOG_FLOOR)


def align(x_BS):
  """Puts the 0 of token 0 before values that speak of tokens 1, 2, ..."""
  chex.assert_rank(x_BS, 2)
  return jnp.pad(x_BS, ((0, 0), (1, 0)))


def token_logps(logits_BTV, tokens_BT, temperature=1.0):
  """Log-probability of each token given the tokens before it.

    logp[b, t] = log softmax(logits[b, t - 1] / temperature)[tokens[b, t]]

  Args:
    logits_BTV: [B, T, V], any float dtype; position t predicts token t + 1.
    tokens_BT: [B, T] int.
    temperature: positive scalar.

  Returns:
    logp_BT, float32, nats; column 0 is 0. It is -inf for a token whose logit
    is -inf: `kl` clamps what follows from that.

  Raises:
    ValueError: if the temperature is a Python number that is not positive.
  """
  chex.assert_rank([logits_BTV, tokens_BT], [3, 2])
  chex.assert_equal_shape_prefix([logits_BTV, tokens_BT], 2)
  logits_BSV = _scale(logits_BTV[:, :-1], temperature)
  target_BS1 = tokens_BT[:, 1:, None]
  picked_BS = jnp.take_along_axis(logits_BSV, target_BS1, axis=-1)[..., 0]
  return align(picked_BS - jax.nn.logsumexp(logits_BSV, axis=-1))


def next_token_loss(logits_BTV, tokens_BT, mask_BT, temperature=1.0):
  """Cross-entropy of the tokens with mask 1.

    loss = - sum_bt m[b, t] logp[b, t] / sum_bt m[b, t],   t >= 1

  Args:
    logits_BTV: [B, T, V], any float dtype; position t predicts token t + 1.
    tokens_BT: [B, T] int.
    mask_BT: [B, T], 1 on the tokens to learn; column 0 does not count.
    temperature: positive scalar.

  Returns:
    A float32 scalar: nats per token.

  Raises:
    ValueError: if the temperature is a Python number that is not positive.
  """
  chex.assert_equal_shape([tokens_BT, mask_BT])
  mask_BT = align(jnp.asarray(mask_BT)[:, 1:])
  learned_BT = jnp.roll(mask_BT, -1, axis=1) > 0
  # Cleaned before the softmax: afterwards a NaN would survive in its gradient.
  logits_BTV = jnp.where(learned_BT[..., None], logits_BTV, 0.0)
  logp_BT = token_logps(logits_BTV, tokens_BT, temperature)
  return -masked.masked_mean(logp_BT, mask_BT)


def sequence_logps(logp_BT, mask_BT):
  """Log-probability of each reply, whole and per token.

    whole[b] = sum_t m[b, t] logp[b, t],   each[b] = whole[b] / sum_t m[b, t]

  As scores of an imitator the whole one prefers short replies; the mean does
  not know their length.

  Args:
    logp_BT: [B, T], of `token_logps`.
    mask_BT: [B, T], 1 on the tokens of the reply.

  Returns:
    (whole_B, each_B), float32, nats and nats per token; 0 without tokens.
  """
  chex.assert_rank([logp_BT, mask_BT], 2)
  whole_B = masked.zero_masked(logp_BT, mask_BT).sum(axis=1)
  count_B = (jnp.asarray(mask_BT) > 0).sum(axis=1)
  return whole_B, whole_B / jnp.maximum(count_B, 1)


def entropy(logits_BTV, temperature=1.0):
  """Entropy of the distribution that each token was drawn from.

    H[b, t] = - sum_v p log p,   p = softmax(logits[b, t - 1] / temperature)

  Args:
    logits_BTV: [B, T, V], any float dtype; position t predicts token t + 1.
    temperature: positive scalar.

  Returns:
    entropy_BT, float32, nats per token, at least 0; column 0 is 0.

  Raises:
    ValueError: if the temperature is a Python number that is not positive.
  """
  logp_BSV = prefix_log_softmax(logits_BTV, temperature)
  return align(-(jnp.exp(logp_BSV) * logp_BSV).sum(axis=-1))


def _scale(logits, temperature):
  """Returns float32 logits / temperature."""
  if isinstance(temperature, numbers.Real) and not temperature > 0:
    raise ValueError(
      f'temperature must be positive, got {temperature}: greedy decoding has '
      'no distribution to score; score it at 1.0'
    )
  return logits.astype(jnp.float32) / temperature
