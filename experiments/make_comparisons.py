"""Stage 3: comparisons of replies, as arrays for the stages after it.

Simulated: two replies to each prompt are sampled from the largest language
model, workers compare them, and the result is written in the release's format
and read back through the same TFDS builder as the real data.

    python -m experiments.make_comparisons --config=configs/comparisons.py \
        --workdir=DIR
"""

import jax
import numpy as np

from experiments.shared import command, comparisons, people, policies, sources
from experiments.shared.models import open_base, text_tokenizer
from rlhf_jax.data import tfds_builder
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.pairs import split_by_prompt
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.train.about import About
from rlhf_jax.train.progress import Progress
from rlhf_jax.train.run import Run
from rlhf_jax.types import Prompts

ROWS = 64  # that a CPU samples at once: their keys and values fit its cache


def sampled(base, sample, rows, key):
  """A reply to each row, as text; each has a key of its own."""
  count, replies = len(rows.length_B), []
  step = ROWS if jax.default_backend() == 'cpu' else count
  for start in range(0, count, step):
    part = jax.tree.map(lambda x: x[start : start + step], rows)  # noqa: B023
    rollout = jax.device_get(sample(base.params, part, key))
    replies += policies.decoded(base.tokenizer, *rollout[:3])
  return replies


def sample_pairs(config, base, label):
  """Simulated comparisons: sample, decode, and let the workers compare."""
  tokenizer = base.tokenizer
  world = sources.world_of(config['world'])
  rng = np.random.default_rng(config['seed'])
  sampling = policies.sampling_of(tokenizer, config['max_reply'])
  sample = policies.sampler(base.functions, base.size, sampling)
  batch, found = config['sample_batch'], []
  key = jax.random.key(config['seed'])
  for i in Progress(0, -(-2 * config['pairs'] // batch), label):
    prompts = sources.sample_prompts(world, rng, batch // 2)
    twice = [p.text for p in prompts for _ in range(2)]
    arrays = encode_prompts(twice, tokenizer, config['max_prompt'])
    rows = Prompts(
      arrays.tokens_NP, arrays.length_N, np.arange(i * batch, (i + 1) * batch)
    )
    replies = sampled(base, sample, rows, key)
    pairs = list(zip(replies[::2], replies[1::2], strict=True))
    found += sources.compare_replies(world, rng, prompts, pairs)
  return [item for item in found if item.chosen != item.rejected]


def through_builder(splits, path):
  """Writes train and test of each tranche, and reads them through TFDS."""
  parts = {
    (split, tranche): [item for item in items if item.source == tranche]
    for split, items in splits.items()
    for tranche in people.TRANCHES.values()
  }
  parts = {place: part for place, part in parts.items() if part}
  for (split, tranche), part in parts.items():
    write_comparisons(path / 'data' / tranche / f'{split}.jsonl.gz', part)
  out = {split: [] for split in splits}
  for split, tranche in parts:
    out[split] += tfds_builder.load(
      path / 'data', tranche, split, path / 'tfds'
    )
  return out


def comparisons_of(config, run_):
  """{'train': [Comparison], 'test': [...]}: no prompt is on two sides."""
  named = {'base': config['lm_dir'], 'size': config['lm_size'], 'pad_token': ''}
  base = open_base(config | named)
  pairs = sample_pairs(config, base, run_.path.name)
  fractions = [1 - config['test_fraction'], config['test_fraction']]
  train, test = split_by_prompt(pairs, fractions, config['data']['split_seed'])
  return through_builder({'train': train, 'test': test}, run_.path)


def run(config, workdir):
  """Writes `train.npz`, `test.npz` (PairArrays) and `prompts.json`."""
  about = About('make_comparisons', 'comparisons')
  with Run(
    workdir, config, {'role': 'comparisons'}, about=about, apart=True
  ) as run_:
    if run_.done:
      return
    tokenizer = text_tokenizer(config)
    counts, data = {}, config['data']
    if data['source'] == 'simulated':
      splits = comparisons_of(config, run_)
    else:
      found = people.read_people(
        data, run_.path / 'tfds', config['test_fraction']
      )
      splits, counts = {'train': found.train, 'test': found.test}, found.counts
    size = config['max_prompt'], config['max_reply']
    kept = comparisons.write_splits(
      run_.path,
      splits,
      tokenizer,
      config['seed'],
      size,
      config['coin_flip_labels'],
    )
    if counts:
      comparisons.write_reading(run_.path, counts | kept)
    run_.finish(**counts, **kept)


if __name__ == '__main__':
  command.main(run, 'configs/comparisons.py', several=True)
