"""Pairs of a simulated forum, on which preference models are pretrained.

    python -m experiments.make_forum --config=configs/forum.py --workdir=DIR

`variant` ranked: of two answers to a question the one with the higher score is
chosen, of two states of a text the one before the vandal. binary: each text by
itself, told by a tag whether it is the chosen one, twice as many pairs of the
same texts (`rlhf_jax/data/public`, `rlhf_jax/crowd/forum.py`). The arrays are
those of make_comparisons: train_pm reads either.
"""

import itertools

import numpy as np

from experiments.shared import command, comparisons, sources
from experiments.shared.models import text_tokenizer
from rlhf_jax.crowd import forum
from rlhf_jax.data.pairs import split_by_prompt
from rlhf_jax.data.public import ranked
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run

VARIANTS = ('ranked', 'binary')
TAG_TOKENS = 8  # room for 'GOOD:' or 'BAD:' in a reply


def pairs_of(config, world):
  """[Comparison] of a variant: `pairs` ranked ones, or twice as many tagged.

  Args:
    config: variant, seed, pairs, edits (share of the threads), most (pairs of
      a thread).
    world: the world.

  Raises:
    ValueError: if there is no such variant.
  """
  if config['variant'] not in VARIANTS:
    raise ValueError(
      f'wanted a variant of {", ".join(VARIANTS)}, got {config["variant"]!r}'
    )
  rng = np.random.default_rng(config['seed'])
  threads = forum.threads(world, rng, config['edits'])
  found = ranked.pairs_of_threads(threads, config['most'], config['seed'])
  found = list(itertools.islice(found, config['pairs']))
  if config['variant'] == 'ranked':
    return found
  return [half for pair in found for half in ranked.tagged(pair)]


def run(config, workdir):
  """Writes `train.npz`, `test.npz` (PairArrays) and `prompts.json`."""
  about = About('make_forum', 'comparisons')
  with Run(workdir, config, {'role': 'forum'}, about=about) as run_:
    if run_.done:
      return
    pairs = pairs_of(config, sources.world_of(config['world']))
    held = config['test_fraction']
    sides = split_by_prompt(pairs, [1 - held, held], config['seed'])
    counts = comparisons.write_splits(
      run_.path,
      dict(zip(('train', 'test'), sides, strict=True)),
      text_tokenizer(config),
      config['seed'],
      (config['max_prompt'], config['max_reply'] + TAG_TOKENS),
    )
    run_.finish(**counts)


if __name__ == '__main__':
  command.main(run, 'configs/forum.py')
