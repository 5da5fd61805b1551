"""What every program of a policy is told: its logits and its sampler."""

from rlhf_jax.rollout.generate import SamplingConfig
from rlhf_jax.types import SplitModel

# Positions of a row whose logits are held at once, where the vocabulary is so
# large that all of them would be most of a step's memory (docs/numerics.md).
CHUNK, LARGE_VOCABULARY = 64, 8192


def split_model(functions):
  """The language model of a `Model`, its logits made as they are needed."""
  large = functions.config.vocab_size >= LARGE_VOCABULARY
  chunk = CHUNK if large else None
  return SplitModel(functions.hidden_fn, functions.head_fn, chunk)


def sampling_of(tokenizer, max_reply, temperature=1.0):
  """The paper's sampler (temperature 1, no top-p) for a tokenizer."""
  return SamplingConfig(
    max_reply=max_reply,
    stop_ids=tuple(tokenizer.stop_ids),
    pad_id=tokenizer.pad_id,
    temperature=temperature,
  )


def decoded(tokenizer, tokens_BT, prompt_length_B, length_B):
  """The replies of sampled rows as text."""
  rows = zip(tokens_BT, prompt_length_B, length_B, strict=True)
  return [tokenizer.decode_reply(ids[p:n].tolist()) for ids, p, n in rows]
