"""Stage 3: comparisons of replies, as arrays for the stages after it.

Simulated: two replies to each prompt are sampled from the largest language
model, workers compare them, and the result is written in the release's format
and read back through the same TFDS builder as the real data.

    python -m experiments.make_comparisons --config=configs/comparisons.py \
        --workdir=DIR
"""

import json

import jax
import numpy as np

from experiments import make_text, train_lm
from experiments.shared import command, programs, sources
from rlhf_jax.data import tfds_builder
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.pairs import PairArrays, encode_pairs, split_by_prompt
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.train.progress import Progress
from rlhf_jax.train.run import Run
from rlhf_jax.types import Prompts


def sample_pairs(config, tokenizer, params, label):
  """Simulated comparisons: sample, decode, and let the workers compare."""
  world = sources.world_of(config['world'])
  rng = np.random.default_rng(config['seed'])
  sample = programs.sampler(
    config['lm_size'],
    tokenizer.vocab_size,
    config['dtype'],
    programs.sampling_config(tokenizer, config['max_reply']),
  )
  batch, found = config['sample_batch'], []
  key = jax.random.key(config['seed'])
  for i in Progress(0, -(-2 * config['pairs'] // batch), label):
    prompts = sources.sample_prompts(world, rng, batch // 2)
    twice = [p.text for p in prompts for _ in range(2)]
    arrays = encode_prompts(twice, tokenizer, config['max_prompt'])
    rows = Prompts(
      arrays.tokens_NP, arrays.length_N, np.arange(i * batch, (i + 1) * batch)
    )
    rollout = jax.device_get(sample(params, rows, key))
    replies = [
      tokenizer.decode_reply(ids[p:n].tolist())
      for ids, p, n in zip(
        rollout.tokens_BT,
        rollout.prompt_length_B,
        rollout.length_B,
        strict=True,
      )
    ]
    pairs = list(zip(replies[::2], replies[1::2], strict=True))
    found += sources.compare_replies(world, rng, prompts, pairs)
  return [item for item in found if item.chosen != item.rejected]


def through_builder(comparisons, path):
  """Writes train and test of each tranche, and reads them through TFDS."""
  out = {}
  for split, items in comparisons.items():
    for tranche in sources.TRANCHES.values():
      part = [item for item in items if item.source == tranche]
      write_comparisons(path / 'data' / tranche / f'{split}.jsonl.gz', part)
  for split in comparisons:
    out[split] = []
    for tranche in sources.TRANCHES.values():
      out[split] += tfds_builder.load(
        path / 'data', tranche, split, path / 'tfds'
      )
  return out


def comparisons_of(config, tokenizer, run_):
  """{'train': [Comparison], 'test': [...]}: no prompt is on two sides."""
  data = config['data']
  if data['source'] == 'hh':
    train, test = sources.real_comparisons(
      data['path'],
      run_.path / 'tfds',
      data['on_error'],
      config['test_fraction'],
      data['split_seed'],
    )
    return {'train': train, 'test': test}
  params = train_lm.load(
    config['lm_dir'], config['lm_size'], tokenizer.vocab_size, config['dtype']
  )
  pairs = sample_pairs(config, tokenizer, params, run_.path.name)
  fractions = [1 - config['test_fraction'], config['test_fraction']]
  train, test = split_by_prompt(pairs, fractions, data['split_seed'])
  return through_builder({'train': train, 'test': test}, run_.path)


def write_splits(path, splits, tokenizer, seed, size, coin_flips=False):
  """Writes SPLIT.npz, shuffled, and prompts.json; returns counts by split.

  Args:
    path: the directory.
    splits: {split: [Comparison]}.
    tokenizer: ours or an imported one.
    seed: of the order.
    size: (most tokens of a prompt, most tokens of a reply).
    coin_flips: whether every judgement is a coin flip.
  """
  shuffle, summary = np.random.default_rng(seed), {}
  for split, items in splits.items():
    items = [items[i] for i in shuffle.permutation(len(items))]
    pairs, counts = encode_pairs(items, tokenizer, sum(size), size[1])
    if coin_flips:
      pairs = pairs._replace(p_label_N=np.full_like(pairs.p_label_N, 0.5))
    np.savez(path / f'{split}.npz', **pairs._asdict())
    summary[split] = dict(counts)
  prompts = {s: sources.prompts_of(items) for s, items in splits.items()}
  (path / 'prompts.json').write_text(json.dumps(prompts))
  return summary


def run(config, workdir):
  """Writes `train.npz`, `test.npz` (PairArrays) and `prompts.json`."""
  with Run(workdir, config, row={'role': 'comparisons'}) as run_:
    if run_.done:
      return
    tokenizer = make_text.load_tokenizer(config['text_dir'])
    splits = comparisons_of(config, tokenizer, run_)
    summary = {}
    if config['data']['source'] == 'hh':
      data = config['data']
      summary['files'] = sources.read_counts(data['path'], data['on_error'])
    size = config['max_prompt'], config['max_reply']
    summary |= write_splits(
      run_.path,
      splits,
      tokenizer,
      config['seed'],
      size,
      config['coin_flip_labels'],
    )
    run_.finish(**summary)


def load_pairs(workdir, split):
  """The PairArrays of a finished stage."""
  with np.load(f'{workdir}/{split}.npz') as data:
    return PairArrays(**data)


if __name__ == '__main__':
  command.main(run, 'configs/comparisons.py')
