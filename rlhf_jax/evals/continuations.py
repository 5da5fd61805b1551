"""Log-probabilities of several continuations of one context, read at once.

A row is a context, then the continuations, each without its last token; all of
them look at the context and none at another. What a benchmark of multiple
choice asks costs its context once, and letters cost nothing more.
"""

import jax
import jax.numpy as jnp

from rlhf_jax.losses import chunked

AT_ONCE = 1024  # positions of a batch whose logits are held together


def make_continuation_logps(hidden_fn, head_fn, at_once=AT_ONCE):
  """Builds logps(params, tokens, length, segment, prefix, read, target).

    logp[b, s] = log softmax(logits[b, read[b, s]])[target[b, s]]
    best[b, s] = target[b, s] is the token of the largest logit

  Args:
    hidden_fn: (params, tokens_BT, length_B, segment_BT=, prefix_B=, read_BS=)
      -> hidden_BSD; of `build`'s Model.
    head_fn: (params, hidden) -> logits of [..., V].
    at_once: positions of the whole batch whose logits are held at once.

  Returns:
    The function, not jitted: (logp_BS float32 in nats, best_BS bool).
  """

  def logps(
    params, tokens_BT, length_B, segment_BT, prefix_B, read_BS, target_BS
  ):
    hidden_BSD = hidden_fn(
      params,
      tokens_BT,
      length_B,
      segment_BT=segment_BT,
      prefix_B=prefix_B,
      read_BS=read_BS,
    )

    def one(hidden_BCD, target_BC):
      logits_BCV = head_fn(params, hidden_BCD).astype(jnp.float32)
      picked_BC = jnp.take_along_axis(logits_BCV, target_BC[..., None], -1)
      logp_BC = picked_BC[..., 0] - jax.nn.logsumexp(logits_BCV, axis=-1)
      return logp_BC, jnp.argmax(logits_BCV, axis=-1) == target_BC

    B, S = target_BS.shape
    chunk = max(1, at_once // B)
    parts = chunked.chunked_map(one, chunk, hidden_BSD, target_BS)
    join = lambda x_NBC: x_NBC.swapaxes(0, 1).reshape(B, -1)[:, :S]
    return jax.tree.map(join, parts)

  return logps
