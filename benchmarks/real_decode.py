"""A real model's decoding step, by how its weights are stored.

    python -m benchmarks.real_decode --model FILE.gguf [--rows 1 8 32]
        [--json FILE]

One token a row is read behind a prompt of 64, on one device of all cores, as
`experiments.generate` does; `plain` has kernels [K, N], `turned` the other way
round, `turned_bf16` in bfloat16 too (`models/turned.py`), measured in turns. A
step reads every weight once, so `share_of_copy` is the bytes of the weights a
second over the bandwidth of a copy (`machine.copy_call`), in the same turns.
"""

import argparse
import pathlib
import statistics

import jax
import jax.numpy as jnp

from benchmarks import common
from benchmarks.machine import copy_call
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.gguf import load_gguf
from rlhf_jax.models.turned import turn_kernels

PROMPT, SLOTS, BEYOND_CACHES = 64, 128, 2**28
WAYS = {
  'plain': lambda params: params,
  'turned': turn_kernels,
  'turned_bf16': lambda params: turn_kernels(params, 'bfloat16'),
}


def step_call(functions, params, rows):
  """A compiled decoding step that is called with its own cache again."""
  tokens = jnp.ones((rows, PROMPT), jnp.int32)
  length_B = jnp.full(rows, PROMPT, jnp.int32)
  prefill = jax.jit(functions.prefill_fn, static_argnums=3)
  _, cache = prefill(params, tokens, length_B, SLOTS)
  step = jax.jit(functions.decode_fn).lower(
    params, tokens[:, 0], length_B, cache
  )
  step = step.compile()
  return lambda: step(params, tokens[:, 0], length_B, cache)


def lines_of(functions, params, rows, rounds):
  """(metric, value, unit) of all ways at a number of rows."""
  stored = {name: way(params) for name, way in WAYS.items()}
  calls = {
    name: step_call(functions, tree, rows) for name, tree in stored.items()
  }
  calls['copy'], moved = copy_call(BEYOND_CACHES)
  found = common.time_in_turns(calls, rounds, 3)
  median = {name: statistics.median(times) for name, times in found.items()}
  copied = moved / median['copy']
  lines = [(f'copy_{rows}_bytes_per_s', copied, 'bytes/s')]
  for name, tree in stored.items():
    read = sum(x.nbytes for x in jax.tree.leaves(tree))
    key = f'decode_{name}_{rows}'
    lines += [
      (f'{key}_tokens_per_s', rows / median[name], 'tokens/s'),
      (f'{key}_share_of_copy', read / median[name] / copied, 'ratio'),
      (f'{key}_speedup', median['plain'] / median[name], 'ratio'),
    ]
  return lines


def main(arguments=None):
  """Parses flags, measures, prints and keeps rows."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--model', required=True, help='weights, a .gguf file')
  parser.add_argument('--rows', type=int, nargs='+', default=[1, 8, 32])
  parser.add_argument('--rounds', type=int, default=30)
  parser.add_argument('--json', type=pathlib.Path)
  given = parser.parse_args(arguments)
  model = load_gguf(pathlib.Path(given.model))
  functions, rows = build(model.config), []
  name = pathlib.Path(given.model).stem
  for count in given.rows:
    lines = lines_of(functions, model.params, count, given.rounds)
    found = common.to_rows('real_decode', name, lines)
    for row in found:
      common.print_row(row)
    rows += found
  common.write_rows(given.json, rows)


if __name__ == '__main__':
  main()
