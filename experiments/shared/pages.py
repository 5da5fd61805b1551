"""Pages and the HHH prompt of a simulated world, as tokens."""

import jax.numpy as jnp
import numpy as np

from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.text.dialogue import split_reply
from rlhf_jax.text.encode import encode_example


def page_ids(tokenizer, transcripts, config):
  """Ids of transcripts one after the other, each with its end token.

  Args:
    tokenizer: of the texts.
    transcripts: whole ones, whose last turn is the assistant's.
    config: max_prompt, max_reply.
  """
  room = config['max_prompt'] + config['max_reply'], config['max_reply']
  ids = []
  for text in transcripts:
    ids += encode_example(tokenizer, *split_reply(text), *room)[0]
  return ids


def hhh_ids(tokenizer, world, config):
  """Ids of the HHH prompt of a world; see `page_ids`."""
  return page_ids(tokenizer, rules_of(world).hhh_prompt, config)


def with_prefix(prefix, tokens_NT, length_N):
  """Rows of ids behind a prefix: (tokens [N, P + T], length [N])."""
  P = len(prefix)
  before_NP = np.broadcast_to(np.int32(prefix), (len(tokens_NT), P))
  return jnp.concatenate([before_NP, tokens_NT], 1), length_N + P


def behind(functions, prefix):
  """Builds logits(params, tokens_BT, length_B) -> logits_BTV of texts.

  The model reads each text behind the prefix, whose own logits are not made.

  Args:
    functions: `build`'s Model.
    prefix: ids; () where texts stand alone.
  """
  if not prefix:
    return functions.logits_fn

  def logits(params, tokens_BT, length_B):
    rows = with_prefix(prefix, tokens_BT, length_B)
    hidden_BSD = functions.hidden_fn(params, *rows)
    return functions.head_fn(params, hidden_BSD[:, len(prefix) :])

  return logits
