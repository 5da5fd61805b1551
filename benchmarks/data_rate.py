"""Speed of the data path: text to tokens, and arrays to batches.

    python -m benchmarks.data_rate [--json FILE] [--shape S 197K]

Simulated comparisons are tokenised to the shape's lengths, which is done once a
run, and shuffled batches of pairs are drawn, which is done every step: compare
`batch_pairs_per_s` with `pm_pairs_per_s` of `benchmarks.pm_step`. All of it
runs on one core of the host.
"""

import numpy as np

from benchmarks import common
from rlhf_jax.crowd.red_team import red_team_dialogue
from rlhf_jax.crowd.worlds import make_world
from rlhf_jax.data.pairs import encode_pairs
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.types import PairBatch

PIECES, DIALOGUES, ROWS = 512, 400, 8192


def comparisons():
  """Simulated red-team comparisons, and a tokenizer of the same world."""
  world, rng = make_world(), np.random.default_rng(0)
  found = []
  while len(found) < DIALOGUES:
    found += red_team_dialogue(world, rng)
  texts = [text for item in found for text in (item.chosen, item.rejected)]
  return found, Tokenizer.train(texts, PIECES)


def pair_arrays(shape):
  """Random pairs of full length, as a run holds them in memory."""
  T, rng = shape.length, np.random.default_rng(0)
  side = lambda: rng.integers(4, shape.vocab_size, (ROWS, T)).astype(np.int32)
  length_N = np.full(ROWS, T, np.int32)
  return PairBatch(side(), length_N, side(), length_N)


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  found, tokenizer = comparisons()
  encode = lambda: encode_pairs(
    found, tokenizer, shape.length - 1, shape.reply_length
  )
  arrays, _ = encode()
  tokens = arrays.chosen_length_N.sum() + arrays.rejected_length_N.sum()
  batches = Batches(pair_arrays(shape), shape.batch, seed=0)
  draws = max(1, ROWS // shape.batch)
  draw = lambda: [next(batches) for _ in range(draws)]
  calls = {'encode': lambda: encode()[0], 'batches': draw}
  seconds = common.time_in_turns(calls, rounds, warmups)
  drawn = draws * shape.batch
  read = lambda name, work, unit, of: common.throughput_lines(
    name, work, seconds[of], unit
  )
  return [
    *read('encode_pairs_per_s', len(found), 'pairs/s', 'encode'),
    *read('encode_tokens_per_s', tokens, 'tokens/s', 'encode'),
    *read('batch_pairs_per_s', drawn, 'pairs/s', 'batches'),
    *read(
      'batch_tokens_per_s', 2 * drawn * shape.length, 'tokens/s', 'batches'
    ),
  ]


if __name__ == '__main__':
  common.main('data_rate', measure)
