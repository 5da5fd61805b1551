"""Per-token numbers and losses without all logits at once.

Logits [B, T, V] are the largest array of a step. Here they are made from hidden
states [B, T, D] a chunk of positions at a time, and made again in the backward
pass, so that at most [B, chunk, V] is held; and, where only replies count, for
the positions before reply tokens alone. The mathematics is that of `language`
and `kl`: a chunk of C positions is handed to it as a sequence of C + 1 tokens,
of which the first has no logits before it and the last needs none.
"""

import functools

import chex
import jax
import jax.numpy as jnp

from rlhf_jax.losses import language, masked
from rlhf_jax.types import SplitModel


def split_model(logits_fn):
  """A SplitModel as it is; a plain logits_fn as one with an idle head."""
  if isinstance(logits_fn, SplitModel):
    return logits_fn

  def hidden_fn(*args, read_BS=None):
    outputs = logits_fn(*args)
    if read_BS is None:
      return outputs
    return jax.tree.map(lambda x: masked.take_columns(x, read_BS), outputs)

  return SplitModel(hidden_fn, lambda params, logits: logits)


def reply_columns(first_B, T, max_reply):
  """Columns before the tokens first, ..., first + R - 1 of each row, [B, S].

    S = min(R, T - 1) columns in a row, moved to the left where they would
    reach beyond the last but one

  Args:
    first_B: int, first reply token.
    T: tokens of a row.
    max_reply: R.
  """
  S = min(max_reply, T - 1)
  return jnp.clip(first_B - 1, 0, T - 1 - S)[:, None] + jnp.arange(S)


def on_replies(fn, params, tokens_BT, first_B, length_B, max_reply):
  """fn(params, tokens, length), of the columns of `reply_columns` alone.

  With max_reply None, of all columns, and `fn` is not asked for some.
  """
  if max_reply is None:
    return fn(params, tokens_BT, length_B)
  read_BS = reply_columns(first_B, tokens_BT.shape[1], max_reply)
  return fn(params, tokens_BT, length_B, read_BS=read_BS)


def align_replies(x_BS, first_B, length_B, T, max_reply):
  """What `on_replies` read before token t, put in column t: x_BT.

  With max_reply, a reply token that the columns do not reach is NaN rather than
  wrong, and the other columns are 0; without, column 0 is.
  """
  if max_reply is None:
    return language.align(x_BS[:, :-1])
  S = x_BS.shape[1]
  start_B = jnp.clip(first_B - 1, 0, T - 1 - S)
  past_BT = jnp.arange(T) > start_B[:, None] + S
  beyond_BT = past_BT & (jnp.arange(T) < length_B[:, None])
  empty_BT = jnp.where(beyond_BT, jnp.nan, 0.0)
  return _put(empty_BT, x_BS, start_B + 1)


def chunked_map(fn, chunk, *arrays):
  """Applies `fn` to chunks of positions, one after the other.

    results[i] = fn(*(x[:, i C : (i + 1) C] for x in arrays)),   C = chunk

  Each call is rematerialised: what it computes on the way is not kept for the
  backward pass, but computed again. A single chunk is a plain call.

  Args:
    fn: chunks [B, C, ...] of the arrays -> pytree of arrays.
    chunk: C, at least 1; None, or more than S, is one chunk of all positions.
    *arrays: pytrees of [B, S, ...]; where C does not divide S the last chunk
      ends in zeros.

  Returns:
    The results, stacked: [ceil(S / C), ...].

  Raises:
    ValueError: if the chunk is less than 1.
  """
  if chunk is not None and chunk < 1:
    raise ValueError(
      f'wanted chunks of at least 1 position, got {chunk}; None for one chunk'
    )
  S = jax.tree.leaves(arrays)[0].shape[1]
  if chunk is None or chunk >= S:
    return jax.tree.map(lambda x: x[None], fn(*arrays))
  count = -(-S // chunk)

  def split(x):
    x = jnp.pad(x, [(0, 0), (0, count * chunk - S)] + [(0, 0)] * (x.ndim - 2))
    return x.reshape(-1, count, chunk, *x.shape[2:]).swapaxes(0, 1)

  # A loop keeps the two passes apart, so nothing needs to prevent their merge.
  one = jax.checkpoint(fn, prevent_cse=False)
  return jax.lax.map(lambda piece: one(*piece), jax.tree.map(split, arrays))


def per_token(
  fn, head, hidden, tokens_BT, first_B, length_B, *, chunk=None, max_reply=None
):
  """fn(head(hidden), tokens_BT) for the tokens first <= t < length.

  Args:
    fn: (logits, tokens_BT) -> pytree of x_BT, float, aligned to tokens: column
      t depends on the logits at t - 1 and on token t alone, as `language` and
      `kl` have it.
    head: pytree of hidden states [..., D] -> pytree of logits [..., V]; two
      models are compared by a pair of each.
    hidden: pytree of [B, T, D]; with max_reply, of [B, S, D], the columns of
      `reply_columns`.
    tokens_BT: int.
    first_B: int, first token of each row that counts.
    length_B: int, real tokens of each row.
    chunk: positions whose logits are held at once; None: all.
    max_reply: R: R positions of each row have hidden states. None: all.

  Returns:
    Pytree of x_BT, right where first <= t < length. With max_reply, a token in
    that range that the R positions do not reach is NaN rather than wrong.

  Raises:
    ValueError: if the chunk is less than 1.
  """
  if chunk is None and max_reply is None:
    return fn(head(hidden), tokens_BT)
  B, T = tokens_BT.shape
  if max_reply is None:
    hidden = jax.tree.map(lambda x_BTD: x_BTD[:, :-1], hidden)
    max_reply = T - 1
  read_BS = reply_columns(first_B, T, max_reply)
  S = read_BS.shape[1]
  chex.assert_tree_shape_prefix(hidden, (B, S))

  def one(hidden, target_BC):
    results = fn(*_as_sequence(head(hidden), target_BC))
    return jax.tree.map(lambda x: x[:, 1:], results)

  target_BS = masked.take_columns(tokens_BT, read_BS + 1)
  results = chunked_map(one, chunk, hidden, target_BS)

  def join(x_NBC):
    x_BS = x_NBC.swapaxes(0, 1).reshape(B, -1)[:, :S]
    return align_replies(x_BS, first_B, length_B, T, max_reply)

  return jax.tree.map(join, results)


def token_logps(
  model,
  params,
  hidden_BTD,
  tokens_BT,
  first_B,
  length_B,
  *,
  temperature=1.0,
  max_reply=None,
):
  """`language.token_logps` of a SplitModel's hidden states: logp_BT, nats.

  The arguments and what is returned are those of `per_token`.
  """
  return per_token(
    lambda logits, tokens: language.token_logps(logits, tokens, temperature),
    functools.partial(model.head_fn, params),
    hidden_BTD,
    tokens_BT,
    first_B,
    length_B,
    chunk=model.chunk,
    max_reply=max_reply,
  )


def next_token_loss(model, params, hidden_BTD, tokens_BT, mask_BT):
  """`language.next_token_loss` of a SplitModel's hidden states, in chunks.

    loss = sum_i n_i loss_i / sum_i n_i,   n_i the tokens that count in chunk i

  Args:
    model: SplitModel.
    params: its parameters.
    hidden_BTD: position t predicts token t + 1.
    tokens_BT: int.
    mask_BT: 1 on the tokens to learn; column 0 does not count.

  Returns:
    A float32 scalar: nats per token.

  Raises:
    ValueError: if the model's chunk is less than 1.
  """
  head = functools.partial(model.head_fn, params)
  if model.chunk is None:
    return language.next_token_loss(head(hidden_BTD), tokens_BT, mask_BT)
  chex.assert_equal_shape([tokens_BT, mask_BT])

  def total(hidden_BCD, target_BC, mask_BC):
    logits, tokens = _as_sequence(head(hidden_BCD), target_BC)
    loss = language.next_token_loss(logits, tokens, language.align(mask_BC))
    return loss * (mask_BC > 0).sum()

  mask_BS = jnp.asarray(mask_BT)[:, 1:]
  totals_N = chunked_map(
    total, model.chunk, hidden_BTD[:, :-1], tokens_BT[:, 1:], mask_BS
  )
  return totals_N.sum() / jnp.maximum((mask_BS > 0).sum(), 1)


def _as_sequence(logits, target_BC):
  """(logits, tokens) of C + 1 tokens, whose last C are the targets."""
  grow = lambda x_BCV: jnp.pad(x_BCV, ((0, 0), (0, 1), (0, 0)))
  return jax.tree.map(grow, logits), language.align(target_BC)


def _put(x_BT, part_BS, start_B):
  """Writes part[b] over x[b, start[b] : start[b] + S]."""
  put = lambda x_T, part_S, start: jax.lax.dynamic_update_slice_in_dim(
    x_T, part_S.astype(x_T.dtype), start, 0
  )
  return jax.vmap(put)(x_BT, part_BS, start_B)
