"""Pairs of tasks with an exact answer, of the simulated world, as arrays.

    python -m experiments.make_tasks --config=configs/tasks.py --workdir=DIR

Two ranked tasks and two binary ones (`rlhf_jax/crowd/exact.py`), each with
training pairs, pairs to choose a rate on, and pairs to test on: no prompt is on
two sides. Files are TASK_train.npz, TASK_valid.npz and TASK_test.npz.
"""

import numpy as np

from experiments.shared import command, comparisons, sources
from experiments.shared.models import text_tokenizer
from rlhf_jax.crowd import exact
from rlhf_jax.data.pairs import split_by_prompt
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run

SIDES = ('train', 'valid', 'test')


def splits_of(config, world):
  """{'TASK_SIDE': [Comparison]}.

  Args:
    config: seed, pairs (of each task), held_out (share of prompts of valid and
      of test, each).
    world: the world.
  """
  held, found = config['held_out'], {}
  for number, name in enumerate(exact.TASKS):
    rng = np.random.default_rng([config['seed'], number])
    pairs = exact.draw_pairs(world, rng, name, config['pairs'])
    shares = [1 - 2 * held, held, held]
    parts = split_by_prompt(pairs, shares, config['seed'])
    found |= {f'{name}_{x}': y for x, y in zip(SIDES, parts, strict=True)}
  return found


def run(config, workdir):
  """Writes the arrays of every task and side, and prompts.json."""
  about = About('make_tasks', 'comparisons')
  with Run(workdir, config, {'role': 'tasks'}, about=about) as run_:
    if run_.done:
      return
    splits = splits_of(config, sources.world_of(config['world']))
    size = config['max_prompt'], config['max_reply']
    counts = comparisons.write_splits(
      run_.path, splits, text_tokenizer(config), config['seed'], size
    )
    run_.finish(**counts)


if __name__ == '__main__':
  command.main(run, 'configs/tasks.py')
