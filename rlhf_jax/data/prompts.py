"""Prompts as arrays, for sampling."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rlhf_jax.text.encode import encode_prompt, pad_batch
from rlhf_jax.text.tokenizer import Tokenizer


class PromptArrays(NamedTuple):
  """N prompts, each ending with the Assistant marker.

  Attributes:
    tokens_NP: [N, max_prompt] int32, right-padded.
    length_N: int32.
    text: the whole texts, in the same order.
    cut_N: int32, tokens lost on the left.
  """

  tokens_NP: np.ndarray
  length_N: np.ndarray
  text: tuple[str, ...]
  cut_N: np.ndarray


def encode_prompts(
  prompts: Sequence[str], tokenizer: Tokenizer, max_prompt: int
) -> PromptArrays:
  r"""Tokenises prompts as `encode_prompt` does, so as in training.

  Raises:
    DialogueError: if a text does not go from '\n\nHuman:' to
      '\n\nAssistant:'.
  """
  encoded = [encode_prompt(tokenizer, text, max_prompt) for text in prompts]
  tokens_NP, length_N = pad_batch(
    [ids for ids, _ in encoded], max_prompt, tokenizer.pad_id
  )
  cut_N = np.array([cut for _, cut in encoded], np.int32)
  return PromptArrays(tokens_NP, length_N, tuple(prompts), cut_N)
