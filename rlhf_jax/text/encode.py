"""Encoding of text as right-padded arrays: truncation, pads, end tokens.

The room for a prompt is `max_length - max_reply` tokens however long its reply
is. So both replies of a comparison, and the sampler, see the same prompt, and a
prompt never costs a reply one token.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rlhf_jax.text.dialogue import ASSISTANT, HUMAN, DialogueError
from rlhf_jax.text.tokenizer import Tokenizer


class Cuts(NamedTuple):
  """Tokens lost to truncation, the end token of a cut reply included."""

  prompt: int
  reply: int


def encode_prompt(
  tokenizer: Tokenizer, prompt: str, max_prompt: int
) -> tuple[list[int], int]:
  r"""Ids of a prompt, cut on the left, and the number of tokens cut.

  An over-long prompt loses its first turns, up to the first Human turn from
  which the rest fits. If the last Human turn alone does not fit, its left is
  cut and its marker stays. Imported tokenizers do the same with the turns of
  their chat template (`ImportedTokenizer.encode_prompt`).

  Raises:
    DialogueError: if the prompt does not go from '\n\nHuman:' to
      '\n\nAssistant:'.
    ValueError: if max_prompt < 2, the room of the two markers.
  """
  if not (prompt.startswith(HUMAN) and prompt.endswith(ASSISTANT)):
    raise DialogueError(
      'not a prompt',
      f'wanted a text from {HUMAN!r} to {ASSISTANT!r}, '
      f'got {prompt[:40]!r} ... {prompt[-20:]!r}',
    )
  if max_prompt < 2:
    raise ValueError(
      f'wanted room for 2 prompt tokens or more, got {max_prompt}; '
      'raise max_length or lower max_reply'
    )
  if hasattr(tokenizer, 'encode_prompt'):  # an imported one, with its own turns
    return tokenizer.encode_prompt(prompt, max_prompt)
  ids = tokenizer.encode(prompt)
  over = len(ids) - max_prompt
  if over <= 0:
    return ids, 0
  for start in range(over, len(ids)):
    if ids[start] == tokenizer.human_id:
      return ids[start:], start
  return [tokenizer.human_id] + ids[over + 1 :], over


def encode_reply(
  tokenizer: Tokenizer, reply: str, max_reply: int, end: bool = True
) -> tuple[list[int], int]:
  """Ids of a reply, cut on the right, and the number of tokens cut.

  The end token is one of the max_reply tokens; a cut reply has none.

  Raises:
    ValueError: if max_reply < 1.
  """
  if max_reply < 1:
    raise ValueError(f'wanted max_reply of 1 or more, got {max_reply}')
  encode = getattr(tokenizer, 'encode_reply', tokenizer.encode)
  ids = encode(reply) + [tokenizer.eos_id] * end
  return ids[:max_reply], max(len(ids) - max_reply, 0)


def encode_example(
  tokenizer: Tokenizer,
  prompt: str,
  reply: str,
  max_length: int,
  max_reply: int,
  end: bool = True,
) -> tuple[list[int], int, Cuts]:
  r"""Ids of prompt + reply, at most max_length of them.

  Args:
    tokenizer: the tokenizer.
    prompt: text that ends with '\n\nAssistant:'.
    reply: text.
    max_length: most tokens of the whole.
    max_reply: most tokens of the reply, its end token included.
    end: whether a reply that is not cut gets an end token.

  Returns:
    (ids, prompt_length, cuts).

  Raises:
    DialogueError, ValueError: as `encode_prompt` and `encode_reply`.
  """
  prompt_ids, prompt_cut = encode_prompt(
    tokenizer, prompt, max_length - max_reply
  )
  reply_ids, reply_cut = encode_reply(tokenizer, reply, max_reply, end)
  return prompt_ids + reply_ids, len(prompt_ids), Cuts(prompt_cut, reply_cut)


def pad_batch(
  rows: Sequence[Sequence[int]], width: int, pad_id: int
) -> tuple[np.ndarray, np.ndarray]:
  """Right-pads rows of ids.

  Returns:
    (tokens_BT [B, width] int32, length_B [B] int32).

  Raises:
    ValueError: if a row is longer than the width.
  """
  length_B = np.array([len(row) for row in rows], np.int32)
  if len(rows) and length_B.max() > width:
    raise ValueError(
      f'wanted rows of at most {width} tokens, got one of {length_B.max()}; '
      'truncate it first or pad to a greater width'
    )
  tokens_BT = np.full((len(rows), width), pad_id, np.int32)
  for tokens_T, row in zip(tokens_BT, rows, strict=True):
    tokens_T[: len(row)] = row
  return tokens_BT, length_B


def append_end_of_context(
  tokens_BT: np.ndarray,
  length_B: np.ndarray,
  end_of_context_id: int,
  pad_id: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Writes the end-of-context token at position length, in one more column.

  Reference: Bai et al. 2022 (arXiv:2204.05862), where the preference model
  predicts its score at a special end-of-context token.

  Returns:
    (tokens [B, T + 1], length [B]), the length counting the new token.
  """
  tokens = np.pad(tokens_BT, ((0, 0), (0, 1)), constant_values=pad_id)
  tokens[np.arange(len(tokens)), length_B] = end_of_context_id
  return tokens, length_B + 1
