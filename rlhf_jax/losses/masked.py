"""Statistics of the real tokens of a padded batch.

Masks come from lengths, never from token ids, so the pad id may be any id.
Every function replaces masked entries with `where` before it computes, so that
a NaN in a masked position reaches neither a value nor a gradient (replacing
them afterwards would protect the value alone: 0 * NaN is NaN in the gradient).
"""

import chex
import jax
import jax.numpy as jnp

# Added to the variance before the root. It keeps a single token or a constant
# input finite; a variance v comes out as v / (v + VARIANCE_EPS).
VARIANCE_EPS = 1e-8


def length_mask(length_B, T):
  """Marks the real tokens: 1 where t < length.

  Args:
    length_B: [B] int, prompt and reply together.
    T: width of the mask, a Python integer.

  Returns:
    mask_BT, float32.
  """
  chex.assert_rank(length_B, 1)
  return (jnp.arange(T) < length_B[:, None]).astype(jnp.float32)


def reply_mask(prompt_length_B, length_B, T):
  """Marks the reply tokens: 1 where prompt_length <= t < length.

  The reply's end token is a reply token, the first pad is not.

  Args:
    prompt_length_B: [B] int.
    length_B: [B] int, prompt and reply together.
    T: width of the mask, a Python integer.

  Returns:
    mask_BT, float32.
  """
  chex.assert_equal_shape([prompt_length_B, length_B])
  return length_mask(length_B, T) * (1.0 - length_mask(prompt_length_B, T))


def zero_masked(x, mask):
  """Returns x as float32, with 0 where mask is 0 (whatever x held there)."""
  chex.assert_equal_shape([x, mask])
  return jnp.where(jnp.asarray(mask) > 0, jnp.asarray(x, jnp.float32), 0.0)


def masked_sum(x, mask):
  """Sum of x over the entries with mask 1; a float32 scalar."""
  return zero_masked(x, mask).sum()


def masked_mean(x, mask):
  """Mean of x over the entries with mask 1; 0 when there are none."""
  count = (jnp.asarray(mask) > 0).sum()
  return masked_sum(x, mask) / jnp.maximum(count, 1)


def masked_variance(x, mask):
  """Biased variance, mean((x - mean(x))^2), over the entries with mask 1."""
  x = zero_masked(x, mask)
  return masked_mean(jnp.square(x - masked_mean(x, mask)), mask)


def masked_whiten(x, mask, shift_mean=True):
  """Scales the entries with mask 1 to biased variance 1.

    y = (x - mean) / sqrt(variance + VARIANCE_EPS)   [+ mean]

  Its scope is the batch that it is given. Here that is one minibatch of
  advantages, after the advantage estimation; rewards are not whitened unless
  asked for, since the penalty kl_coef * KL is rescaled with them.

  Reference: Huang et al. 2024 (arXiv:2403.17031), PPO details.

  Args:
    x: any shape.
    mask: the shape of x.
    shift_mean: whether to take the mean away; if False it is kept.

  Returns:
    y, float32, 0 where mask is 0. A single token gives 0 (or itself when the
    mean is kept), and so does a constant input up to rounding.
  """
  x = zero_masked(x, mask)
  mean = masked_mean(x, mask)
  scale = jax.lax.rsqrt(masked_variance(x, mask) + VARIANCE_EPS)
  y = (x - mean) * scale
  return zero_masked(y if shift_mean else y + mean, mask)


def aggregate(x_BT, mask_BT, how):
  """Averages a per-token loss over a ragged batch.

    token_mean:    sum_bt m x / sum_bt m          every token weighs the same
    sequence_mean: mean_b(sum_t m x / sum_t m)    every reply weighs the same

  A row without tokens counts for nothing in either.

  Args:
    x_BT: [B, T], per-token loss.
    mask_BT: [B, T], 1 on the tokens that count.
    how: 'token_mean' or 'sequence_mean'.

  Returns:
    A float32 scalar.

  Raises:
    ValueError: if `how` is neither name.
  """
  chex.assert_rank([x_BT, mask_BT], 2)
  if how == 'token_mean':
    return masked_mean(x_BT, mask_BT)
  if how == 'sequence_mean':
    count_B = (jnp.asarray(mask_BT) > 0).sum(axis=1)
    mean_B = zero_masked(x_BT, mask_BT).sum(axis=1) / jnp.maximum(count_B, 1)
    return masked_mean(mean_B, count_B)
  raise ValueError(
    f"how must be 'token_mean' or 'sequence_mean', got {how!r}: name one of "
    'the two'
  )


def take_columns(x_BT, read_BS):
  """x[b, read[b, s]] of every row, [B, T, ...] to [B, S, ...]."""
  return jnp.asarray(x_BT)[jnp.arange(x_BT.shape[0])[:, None], read_BS]
