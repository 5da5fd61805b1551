"""Pages: texts of several dialogues by one author, for models to be prompted.

    python -m experiments.make_pages --config=configs/pages.py --workdir=DIR

A language model that has read single dialogues alone does not go on as a prompt
of good ones begins; one that has read pages may. The tokenizer is that of
stage 1, so that comparisons and preference models fit. Written is what
`make_text` writes, and read by `train_lm` as that.
"""

import shutil
from pathlib import Path

import numpy as np

from experiments.shared import command, sources
from experiments.shared.models import text_tokenizer
from experiments.shared.pages import page_ids
from experiments.shared.rows import write_rows
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run


def rows_of(config, tokenizer, seed, count):
  """Rows of ids, a page each, cut to `page_tokens`."""
  world, rng = sources.world_of(config['world']), np.random.default_rng(seed)
  write = rules_of(world).page
  rows = (
    page_ids(tokenizer, write(world, rng, config['page_dialogues']), config)
    for _ in range(count)
  )
  return [row[: config['page_tokens']] for row in rows]


def run(config, workdir):
  """Writes `tokenizer.model`, `rows.npz` and `heldout.npz`."""
  with Run(
    workdir, config, {'role': 'text'}, about=About('make_pages', 'texts')
  ) as run_:
    if run_.done:
      return
    tokenizer = text_tokenizer(config)
    shutil.copy(
      Path(config['text_dir']) / 'tokenizer.model',
      run_.path / 'tokenizer.model',
    )
    counts, width = {}, config['page_tokens']
    for name, stream, count in (
      ('rows', 0, config['rows_pages']),
      ('heldout', 1, config['heldout_pages']),
    ):
      rows = rows_of(config, tokenizer, [config['seed'], stream], count)
      file = run_.path / f'{name}.npz'
      counts[name] = write_rows(file, rows, tokenizer, width)
    run_.finish(tokens=counts['rows'], heldout_tokens=counts['heldout'])


if __name__ == '__main__':
  command.main(run, 'configs/pages.py')
