"""Prompts of every world: the text that an assistant goes on from."""

import dataclasses

from rlhf_jax.text.dialogue import ASSISTANT, HUMAN


@dataclasses.dataclass(frozen=True)
class Prompt:
  """A prompt for the assistant.

  Attributes:
    text: transcript that ends in the Assistant marker.
    kind: 'helpful' or 'harmful'.
    family: name of its family.
  """

  text: str
  kind: str
  family: str


def human_turn(text):
  """A prompt of one human turn."""
  return f'{HUMAN} {text}{ASSISTANT}'
