"""Choices between a better and a worse reply, by their log-probabilities."""

import functools

import jax
import numpy as np

from experiments.shared.devices import jit_named
from experiments.shared.sampling import split_model
from rlhf_jax.evals.answers import make_answer_logps
from rlhf_jax.text.encode import encode_example, pad_batch


def encode_choices(tokenizer, choices, config):
  """(tokens_NT, first_N, length_N), good and bad in turn."""
  width = config['max_prompt'] + config['max_reply']
  rows, first = [], []
  for prompt, *replies in choices:
    for reply in replies:
      ids, start, _ = encode_example(
        tokenizer, prompt, reply, width, config['max_reply']
      )
      rows.append(ids)
      first.append(start)
  tokens_NT, length_N = pad_batch(rows, width, tokenizer.pad_id)
  return tokens_NT, np.array(first, np.int32), length_N


@functools.cache
def choice_logps(functions, label):
  """Jitted log-probabilities of replies."""
  logps = make_answer_logps(split_model(functions))
  return jit_named(logps, f'choices_{label}')


def share_right(base, rows, batch):
  """Share of choices of which a model finds the better reply likelier.

  Args:
    base: Base.
    rows: of `encode_choices`.
    batch: rows a call.
  """
  logps, parts = choice_logps(base.functions, base.size), []
  for i in range(0, len(rows[1]), batch):
    part = (x[i : i + batch] for x in rows)
    parts.append(jax.device_get(logps(base.params, *part)))
  logp_N = np.concatenate(parts)
  return float((logp_N[::2] > logp_N[1::2]).mean())
