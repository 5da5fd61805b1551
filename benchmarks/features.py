"""Pooled features of pairs from a real model: tokens a second, in four ways.

    python -m benchmarks.features --model FILE.gguf [--pairs 96] [--json FILE]

Pairs of drawn tokens, prompts of 20 to 160 and replies of 10 to 50, are read
as `experiments.train_pm` reads them for a head on a frozen base: the prompt
once, batches of one width. `widest` has one width, `buckets` the six of the
preset; products are float32, or bfloat16 with float32 results (`bf16_f32`,
which is float32 where there are no matrix units).
All four take turns. A rate counts the columns that the pairs need, not those
that are padded.
"""

import argparse
import dataclasses
import pathlib
import statistics
import tempfile

import jax
import numpy as np

from benchmarks import common
from rlhf_jax.data.features import pair_lengths
from rlhf_jax.data.pooled import cached_pooled
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.models import pooled
from rlhf_jax.models.matmul import usable
from rlhf_jax.models.pretrained.gguf import load_gguf
from rlhf_jax.types import PairBatch

EDGES = (96, 128, 152, 176, 208, 260)  # of configs/stages.py
PROMPT, REPLY, TOKENS = (20, 160), (10, 50), 1024
MATMULS = ('float32', 'bf16_f32')


def drawn(count, vocab_size, rng):
  """(SharedPairs, prompt_length_N) of random tokens."""
  prompt_N = rng.integers(*PROMPT, size=count)
  lengths_2N = prompt_N + rng.integers(*REPLY, size=(2, count))
  sides_2NT = rng.integers(1, vocab_size, (2, count, PROMPT[1] + REPLY[1]))
  before_NT = np.arange(sides_2NT.shape[2]) < prompt_N[:, None]
  sides_2NT[1] = np.where(before_NT, sides_2NT[0], sides_2NT[1])
  first, second = zip(
    sides_2NT.astype(np.int32), lengths_2N.astype(np.int32), strict=True
  )
  pairs = PairBatch(*first, *second)
  return share_prefix(pairs), prompt_N.astype(np.int32)


def readers_of(config, params):
  """{name: (reader, edges of its buckets)}, compiled when first called.

  Args:
    config: TransformerConfig.
    params: of the model.
  """
  calls = {}
  layers = pooled.quarters(config.n_layers)
  for matmul in dict.fromkeys(map(usable, MATMULS)):
    own = dataclasses.replace(config, matmul=matmul)
    read = jax.jit(pooled.pooled_reader(own, layers).pair_fn)
    bound = lambda *rows, read=read: read(params, *rows)
    for name, edges in (('widest', EDGES[-1:]), ('buckets', EDGES)):
      calls[f'{matmul}_{name}'] = bound, edges
  return calls


def measure(config, params, count, rounds):
  """[(metric, value, unit)] of all ways on as many pairs."""
  rows, prompt_N = drawn(count, config.vocab_size, np.random.default_rng(0))
  ways, calls = readers_of(config, params), {}
  for name, (read, edges) in ways.items():

    def call(read=read, edges=edges):
      with tempfile.TemporaryDirectory() as folder:
        return cached_pooled(
          folder, 'benchmark', rows, prompt_N, read, edges=edges, tokens=TOKENS
        )

    calls[name] = call
  seconds = common.time_in_turns(calls, rounds, 1)
  median = {name: statistics.median(times) for name, times in seconds.items()}
  needed = int(pair_lengths(rows).sum())
  first = median[next(iter(median))]
  return [
    line
    for name, found in median.items()
    for line in (
      (f'features_{name}_tokens_per_s', needed / found, 'tokens/s'),
      (f'features_{name}_speedup', first / found, 'ratio'),
    )
  ]


def main(arguments=None):
  """Parses flags, measures, prints and keeps rows."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--model', required=True, help='weights, a .gguf file')
  parser.add_argument('--pairs', type=int, default=96)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--json', type=pathlib.Path)
  given = parser.parse_args(arguments)
  model = load_gguf(pathlib.Path(given.model))
  lines = measure(model.config, model.params, given.pairs, given.rounds)
  name = pathlib.Path(given.model).stem
  rows = common.to_rows('features', name, lines)
  for row in rows:
    common.print_row(row)
  common.write_rows(given.json, rows)
  return rows


if __name__ == '__main__':
  main()
