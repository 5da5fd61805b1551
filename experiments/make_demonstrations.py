"""Demonstrations: prompts and the replies that a model is to imitate.

    python -m experiments.make_demonstrations \
        --config=configs/demonstrations.py --workdir=DIR

Simulated: experts of the world answer prompts as they are asked. Real: the
instructions and replies of data.path (`rlhf_jax/data/demonstrations.py`). The
tokenizer is that of `text_dir`, or without one that of the base. Written is
what `make_text` writes, with where each reply starts, and `train_lm` reads it.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from experiments.shared import command, comparisons, people, sources
from experiments.shared.models import open_base, text_tokenizer
from experiments.shared.rows import write_rows
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.demonstrations import (
  Demonstration,
  read_demonstrations,
  split,
)
from rlhf_jax.text.encode import encode_example
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run

SIDES = ('train', 'test')


def written_by_experts(config):
  """(demonstrations of the simulated world, kind of each prompt)."""
  world = sources.world_of(config['world'])
  rng = np.random.default_rng(config['seed'])
  prompts = sources.sample_prompts(world, rng, config['demonstrations'])
  reply = rules_of(world).human_reply
  found = [Demonstration(p.text, reply(world, rng, p)) for p in prompts]
  return found, [p.kind for p in prompts]


def demonstrations_of(config):
  """({side: [Demonstration]}, {prompt: kind}, counts of what was read).

  Raises:
    DataError, ValueError: if there are none, or a side has none.
  """
  data, counts = config['data'], {}
  if data['source'] == 'simulated':
    found, kinds = written_by_experts(config)
  else:
    people.require_path(data)
    found, counts = read_demonstrations(data['path'], data['on_error'])
    order = np.random.default_rng(config['seed']).permutation(len(found))
    found = [found[i] for i in order[: config['demonstrations']]]
    kinds = ['helpful'] * len(found)
  sides = split(found, config['test_fraction'], data['split_seed'])
  if not all(sides):
    raise ValueError(
      f'{len(found)} demonstrations leave {len(sides[0])} to train on and '
      f'{len(sides[1])} held out: take more, or another test_fraction'
    )
  kind_of = dict(zip((item.prompt for item in found), kinds, strict=True))
  return dict(zip(SIDES, sides, strict=True)), kind_of, dict(counts)


def encode(tokenizer, items, size):
  """(rows of ids, first token of each reply, replies that were cut).

  Args:
    tokenizer: of the model that learns them.
    items: list of Demonstration.
    size: (most tokens of a prompt, most tokens of a reply).
  """
  rows, starts, cut = [], [], 0
  for item in items:
    ids, start, cuts = encode_example(tokenizer, *item, sum(size), size[1])
    rows.append(ids)
    starts.append(start)
    cut += cuts.reply > 0
  return rows, starts, cut


def tokenizer_of(config, path):
  """The tokenizer; ours is copied to `path`, where `train_lm` looks for it."""
  if not config['text_dir']:
    return open_base(config | {'size': ''}, weights=False).tokenizer
  shutil.copy(Path(config['text_dir']) / 'tokenizer.model', path)
  return text_tokenizer(config)


def run(config, workdir):
  """Writes `rows.npz`, `heldout.npz` and `prompts.json`."""
  about = About('make_demonstrations', 'texts')
  with Run(workdir, config, {'role': 'text'}, about=about) as run_:
    if run_.done:
      return
    sides, kind_of, counts = demonstrations_of(config)
    tokenizer = tokenizer_of(config, run_.path)
    size, summary = (config['max_prompt'], config['max_reply']), {}
    for side, name in zip(SIDES, ('rows', 'heldout'), strict=True):
      rows, starts, cut = encode(tokenizer, sides[side], size)
      file = run_.path / f'{name}.npz'
      write_rows(file, rows, tokenizer, sum(size), starts)
      summary |= {side: len(rows), f'{side} replies cut': cut}
    prompts = {
      side: [(item.prompt, kind_of[item.prompt]) for item in items]
      for side, items in sides.items()
    }
    (run_.path / 'prompts.json').write_text(json.dumps(prompts))
    comparisons.write_reading(run_.path, {'demonstrations': counts})
    run_.finish(**summary)


if __name__ == '__main__':
  command.main(run, 'configs/demonstrations.py')
