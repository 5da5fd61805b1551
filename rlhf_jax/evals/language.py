"""Loss of a language model on texts that it was not trained on."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.losses import chunked, masked


def make_text_loss(logits_fn):
  """Builds loss(params, tokens_BT, length_B, start_B) -> (nats, tokens).

    nats = - sum_{b, t} log p(x[b, t] | x[b, < t]),  max(1, start) <= t < length

  of a batch; without start_B from the second token of each text on.

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV, or a SplitModel.
  """
  model = chunked.split_model(logits_fn)

  def loss(params, tokens_BT, length_B, start_B=None):
    hidden_BTD = model.hidden_fn(params, tokens_BT, length_B)
    first_B = jnp.ones_like(length_B)
    if start_B is not None:
      first_B = jnp.maximum(first_B, start_B)
    mask_BT = masked.reply_mask(first_B, length_B, tokens_BT.shape[1])
    mean = chunked.next_token_loss(
      model, params, hidden_BTD, tokens_BT, mask_BT
    )
    return mean * mask_BT.sum(), mask_BT.sum()

  return loss


def nats_per_token(
  loss_fn, params, tokens_NT, length_N, batch_size, start_N=None
):
  """Mean loss over all tokens of N texts but the first of each, in nats.

  Args:
    loss_fn: of `make_text_loss`, jitted by the caller.
    params: of the language model.
    tokens_NT: int, right-padded.
    length_N: int.
    batch_size: texts a call; the last call is padded with texts of no token, so
      that one program serves all.
    start_N: int, first token of each text that counts; None: as said.

  Returns:
    A float; NaN without texts.
  """
  nats = tokens = 0.0
  for i in range(0, len(length_N), batch_size):
    part_BT = np.asarray(tokens_NT[i : i + batch_size], np.int32)
    part_B = np.asarray(length_N[i : i + batch_size], np.int32)
    more = batch_size - len(part_B)
    part_BT = np.pad(part_BT, ((0, more), (0, 0)))
    rows = [part_BT, np.pad(part_B, (0, more))]
    if start_N is not None:
      part_B = np.asarray(start_N[i : i + batch_size], np.int32)
      rows.append(np.pad(part_B, (0, more)))
    found = jax.device_get(loss_fn(params, *rows))
    nats, tokens = nats + float(found[0]), tokens + float(found[1])
  return nats / tokens if tokens else float('nan')


def windows(ids, begin_id, longest):
  """The requests, (context, continuation), that score each token once.

    ids[i:j] after [begin, *ids[:i]],   i = 0, L, 2 L, ...,   j = min(i + L, N)

  A model that holds L tokens sees one token before a full window, and before
  the last as many as fit.

  Args:
    ids: of a text, N of them.
    begin_id: what stands before the text, and is not scored.
    longest: L.
  """
  whole = [begin_id, *ids]
  starts = range(0, len(ids), longest)
  return [(whole[: i + 1], ids[i : i + longest]) for i in starts]


def ratio_and_error(top_N, bottom_N):
  """Ratio of two sums over documents, and its standard error.

    r = sum top / sum bottom,   e[i] = top[i] - r bottom[i]
    stderr = sqrt(N / (N - 1) sum e^2) / sum bottom

  Nats over tokens, or bits over bytes: long documents weigh more, and the
  document is the unit. By the delta method; NaN for one document.
  """
  top_N, bottom_N = np.asarray(top_N, float), np.asarray(bottom_N, float)
  N, total = len(top_N), bottom_N.sum()
  ratio = top_N.sum() / total
  if N < 2:
    return float(ratio), math.nan
  squares = ((top_N - ratio * bottom_N) ** 2).sum()
  return float(ratio), float(math.sqrt(N / (N - 1) * squares) / total)
