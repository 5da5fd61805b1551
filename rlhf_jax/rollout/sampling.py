"""Sampling of a token from logits, with keys that belong to rows."""

import jax
import jax.numpy as jnp

from rlhf_jax.mapping import on_every_device

_OUT = -1e30


def adjust_logits(logits_BV, *, temperature=1.0, top_k=0, top_p=1.0):
  """Logits of the distribution that is sampled AND scored.

    z / temperature, then only the top_k tokens (0: all), then the smallest set
    of tokens with mass >= top_p (1: all).

  The defaults leave the model's own distribution, as Bai et al. 2022 do
  (section 2.4 states that no top-p was used). Ties at the k-th place are kept.

  Args:
    logits_BV: float32.
    temperature: positive scalar, may be traced.
    top_k: static int.
    top_p: static float in (0, 1].

  Returns:
    [B, V] float32 logits; excluded tokens carry -1e30.
  """
  logits_BV = logits_BV.astype(jnp.float32) / temperature
  if top_k:
    kth = jax.lax.top_k(logits_BV, top_k)[0][:, -1:]
    logits_BV = jnp.where(logits_BV < kth, _OUT, logits_BV)
  if top_p < 1.0:
    ordered = -jnp.sort(-logits_BV, axis=-1)
    before = jnp.cumsum(jax.nn.softmax(ordered, -1), -1)
    before = before - jax.nn.softmax(ordered, -1)
    smallest = jnp.where(before < top_p, ordered, jnp.inf).min(-1)
    logits_BV = jnp.where(logits_BV < smallest[:, None], _OUT, logits_BV)
  return logits_BV


def occurrences(row_B):
  """Occurrences of each row's name before it: 0 at the first, then 1, 2, ...

  A batch that goes over the end of an epoch may hold one prompt twice.

  Args:
    row_B: names, of the whole batch: no device counts its own rows alone.
  """
  row_B = on_every_device(jnp.asarray(row_B))
  order_B = jnp.argsort(row_B, stable=True)
  sorted_B, place_B = row_B[order_B], jnp.arange(len(order_B))
  another_B = sorted_B != jnp.roll(sorted_B, 1)
  first_B = jax.lax.cummax(jnp.where(another_B, place_B, 0))
  return jnp.zeros_like(place_B).at[order_B].set(place_B - first_B)


def row_uniforms(rng, row_B, count, occurrence_B=None):
  """Uniform numbers in [0, 1) that depend on (rng, row, occurrence) alone.

    key = fold_in(rng, row); fold_in(key, occurrence) from the second one on

  Neither the batch size, nor a row's place in it, nor the number of devices
  changes a row's numbers; where no name comes twice, only names matter.

  Args:
    rng: key.
    row_B: integers that name the rows.
    count: numbers a row.
    occurrence_B: of `occurrences`, where the rows are some of a batch; None:
      they are all of it.

  Returns:
    [B, count] float32.
  """
  if occurrence_B is None:
    occurrence_B = occurrences(row_B)

  def numbers(row, occurrence):
    key = jax.random.fold_in(rng, row)
    again = jax.random.fold_in(key, occurrence)
    return jax.random.uniform(jnp.where(occurrence > 0, again, key), (count,))

  return jax.vmap(numbers)(row_B, occurrence_B)


def sample_token(logits_BV, uniform_B):
  """Inverse-CDF sampling: the first token whose cumulative mass exceeds u.

    token = min { v : sum_{w <= v} p(w) > u * sum_w p(w) }

  One uniform number a row instead of V Gumbel numbers: on a CPU the numbers
  would cost more than a small model's forward pass. The running sum is taken in
  two levels (blocks, then within the block), which is faster than one long
  cumulative sum and loses less precision.

  Returns:
    (token_B int32, logp_B float32 under softmax(logits)).
  """
  B, V = logits_BV.shape
  logp_BV = jax.nn.log_softmax(logits_BV.astype(jnp.float32), axis=-1)
  width = 32 if V >= 64 else V
  blocks = -(-V // width)
  p_BNW = jnp.pad(jnp.exp(logp_BV), ((0, 0), (0, blocks * width - V)))
  p_BNW = p_BNW.reshape(B, blocks, width)
  block_cdf_BN = jnp.cumsum(p_BNW.sum(-1), axis=-1)
  target_B = uniform_B * block_cdf_BN[:, -1]
  block_B = jnp.sum(block_cdf_BN <= target_B[:, None], axis=-1)
  block_B = jnp.minimum(block_B, blocks - 1)
  chosen_BW = jnp.take_along_axis(p_BNW, block_B[:, None, None], 1)[:, 0]
  below_B = jnp.where(
    block_B > 0,
    jnp.take_along_axis(block_cdf_BN, jnp.maximum(block_B - 1, 0)[:, None], 1)[
      :, 0
    ],
    0.0,
  )
  cdf_BW = below_B[:, None] + jnp.cumsum(chosen_BW, axis=-1)
  inside_B = jnp.sum(cdf_BW <= target_B[:, None], axis=-1)
  token_B = block_B * width + jnp.minimum(inside_B, width - 1)
  token_B = _last_possible(token_B, logp_BV)
  logp_B = jnp.take_along_axis(logp_BV, token_B[:, None], 1)[:, 0]
  return token_B.astype(jnp.int32), logp_B


def _last_possible(token_B, logp_BV):
  """Rounding can step onto a token of zero mass: fall back to the mode."""
  token_B = jnp.minimum(token_B, logp_BV.shape[-1] - 1)
  logp_B = jnp.take_along_axis(logp_BV, token_B[:, None], 1)[:, 0]
  return jnp.where(logp_B < -80.0, jnp.argmax(logp_BV, -1), token_B)
