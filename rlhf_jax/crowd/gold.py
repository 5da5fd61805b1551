"""The two true scores of a reply, and the cut of a text into prompt and reply.

Each world has its own equation: `classic/gold.py`, `parts/gold.py`.
"""

from typing import NamedTuple

from rlhf_jax.text.dialogue import ASSISTANT, HUMAN


class Gold(NamedTuple):
  """The two true scores of a reply, in log-odds."""

  helpful: float
  harmless: float


def total(gold):
  """Sum of the two scores."""
  return gold.helpful + gold.harmless


def split_text(text):
  """(prompt, reply) of any string.

  The reply follows the last Assistant marker. It is empty when a human turn
  comes last; a text without markers is all reply.
  """
  cut = text.rfind(ASSISTANT)
  if text.rfind(HUMAN) > cut:
    return text, ''
  if cut < 0:
    return '', text
  cut += len(ASSISTANT)
  return text[:cut], text[cut:]
