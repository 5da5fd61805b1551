"""Many replies of a language model to few prompts, in batches of one shape."""

import math
from typing import NamedTuple

import jax
import numpy as np

from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.types import Prompts

BATCH = 256  # replies sampled at a time


class Batch(NamedTuple):
  """Replies to the prompts, one after the other, again and again.

  Attributes:
    rollout: Rollout, on the host.
    texts: the prompt of each row.
    kinds: of the prompt of each row.
  """

  rollout: tuple
  texts: tuple
  kinds: tuple


def sampled(base, sample, prompts, longest, count, progress):
  """Yields a Batch after the other, of `count` replies to each prompt or more.

  Args:
    base: the opened language model.
    sample: of `policies.sampler`.
    prompts: [(text, kind)].
    longest: most tokens of a prompt.
    count: replies to each prompt.
    progress: (start, total) -> iterator over the batches.
  """
  each = max(1, BATCH // len(prompts))
  texts, kinds = zip(*prompts * each, strict=True)
  arrays = encode_prompts(texts, base.tokenizer, longest)
  rows = np.arange(len(texts))
  for batch in progress(0, math.ceil(count / each)):
    names = rows + batch * len(rows)
    asked = Prompts(arrays.tokens_NP, arrays.length_N, names)
    out = sample(base.params, asked, jax.random.key(0))
    yield Batch(jax.device_get(out), texts, kinds)


def by_prompt(batches, count):
  """{name: array_PN} of batches in which the prompts come again and again."""
  return {
    name: np.concatenate([b[name].reshape(-1, count) for b in batches]).T
    for name in batches[0]
  }
