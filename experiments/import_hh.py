"""Stages 1 and 3 for imported models: a tokenizer, and the HH release in it.

A job of `experiments.cluster`. It writes what `make_text` and
`make_comparisons` write of the simulated world, in one directory:
`tokenizer.model`, `train.npz`, `test.npz`, `prompts.json`. The release keeps
its own split into train and test.
"""

from experiments.shared import comparisons, people
from rlhf_jax.text.pretrained import PretrainedTokenizer
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run


def run(config, workdir):
  """Writes the tokenizer, the pairs, the prompts and reading.csv."""
  about = About('import_hh', 'comparisons')
  with Run(workdir, config, {'role': 'comparisons'}, about=about) as run_:
    if run_.done:
      return
    tokenizer = PretrainedTokenizer.from_folder(
      config['tokenizer_dir'], pad_token=config['pad_token'] or None
    )
    tokenizer.save(run_.path / 'tokenizer.model')
    splits, files = people.released_comparisons(
      config['path'], config['tranches'], config['on_error']
    )
    size = config['max_prompt'], config['max_reply']
    counts = comparisons.write_splits(
      run_.path, splits, tokenizer, config['seed'], size
    )
    comparisons.write_reading(run_.path, {'files': files} | counts)
    run_.finish(files=files, vocab_size=tokenizer.vocab_size, **counts)
