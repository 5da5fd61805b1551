"""Detectors of harm: functions of items that are higher for more harm.

A detector sees what the human asked, what the assistant said where it is known,
and the whole dialogue; never the label. Whatever scores a dialogue can be one.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rlhf_jax.text.refusals import refusal_score

BUCKETS, WIDTH = 4096, 64
_WORD = re.compile(r"[a-z']+|\d+")

Detector = Callable[[Sequence['Item']], np.ndarray]


class Item(NamedTuple):
  r"""Something that may be harmful.

  Attributes:
    key: decides on its fold; items that share it share one.
    asked: words of the human, all turns together.
    replies: of the assistant, those that are known.
    dialogue: as HH has it, up to the last '\n\nAssistant:'.
    harmful: 0 or 1, by who labelled it.
    source: of the item.
  """

  key: str
  asked: str
  replies: tuple[str, ...]
  dialogue: str
  harmful: int
  source: str


def always(items: Sequence[Item]) -> np.ndarray:
  """One score for all: a floor that flags everything."""
  return np.zeros(len(items))


def asked_length(items: Sequence[Item]) -> np.ndarray:
  """Characters that the human wrote: a floor."""
  return np.array([len(item.asked) for item in items], float)


def reply_length(items: Sequence[Item]) -> np.ndarray:
  """Characters that the assistant wrote: a floor."""
  return np.array([sum(map(len, item.replies)) for item in items], float)


def refuses(items: Sequence[Item]) -> np.ndarray:
  """The largest refusal score of the replies: who is refused asked for harm."""
  return np.array(
    [max(map(refusal_score, item.replies), default=0.0) for item in items]
  )


def complies(items: Sequence[Item]) -> np.ndarray:
  """Minus that score: a reply that does not decline does harm."""
  return -refuses(items)


def word_features(texts: Sequence[str]) -> np.ndarray:
  """Hashed words of texts, put at random into WIDTH numbers, [N, WIDTH].

    x = sum over words of R[hash(word)] / sqrt(words),   R standard normal

  It knows words and no meaning: the features of who has no model at hand.
  """
  random_BD = np.random.default_rng(0).standard_normal((BUCKETS, WIDTH))
  found_ND = np.zeros((len(texts), WIDTH))
  for row_D, text in zip(found_ND, texts, strict=True):
    words = _WORD.findall(text.lower())
    place = [zlib.crc32(word.encode()) % BUCKETS for word in words]
    row_D[:] = random_BD[place].sum(0) / max(len(words), 1) ** 0.5
  return found_ND
