"""Loss of a language model on texts that it was not trained on."""

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
