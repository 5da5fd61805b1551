"""A random tiny chat model and a handful of pairs, for the imported stages."""

import gzip
import json

import jax
import numpy as np

from experiments.shared import models
from rlhf_jax.data.hhh import CATEGORIES
from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.records import make_comparison
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.export import save_policy
from tests.test_configs import _config
from tests.text.small_tokenizer import write_folder

WORDS = 'the cat and dog say hello user system be good'.split()
PAD = '<|im_end|>'  # the folder names no pad token: every stage has to
CUTS = {'max_prompt': 40, 'max_reply': 10}


def write_model(folder):
  """A Hugging Face folder of three layers of width 16."""
  write_folder(folder, eos_token='<|im_end|>')
  config = TransformerConfig(
    vocab_size=290,
    n_layers=3,
    d_model=16,
    n_heads=2,
    activation='swiglu',
    embed_scale=1.0,
  )
  save_policy(folder, config, build(config).init(jax.random.key(0)))
  return str(folder)


def write_data(folder, count=48):
  """Pairs of both kinds, of which the better reply says hello; HHH files."""
  rng = np.random.default_rng(0)
  talk = lambda n: ' '.join(rng.choice(WORDS, n))
  for kind in ('helpful', 'harmless'):
    items = []
    for i in range(count):
      prompt = f'\n\nHuman: {kind} {i} {talk(2)}?\n\nAssistant:'
      good, bad = (f'{prompt} {word} {talk(2)}' for word in ('hello', 'dog'))
      items.append(make_comparison(good, bad, f'{kind}-base/test', kind=kind))
    write_comparisons(folder / f'hh_{kind}_base_test' / 'pairs.jsonl.gz', items)
  (folder / 'hhh_alignment').mkdir()
  item = {'input': talk(3), 'target_scores': {'hello': 1, 'dog dog': 0}}
  for name in CATEGORIES:
    text = json.dumps({'examples': [item] * 3}).encode()
    path = folder / 'hhh_alignment' / f'{name}.json.gz'
    path.write_bytes(gzip.compress(text))
  return str(folder)


def base(root):
  """The model as the stages open it."""
  return models.open_base(_shared(root) | {'size': '', 'dtype': 'float32'})


def _shared(root):
  return {
    'base': f'{root}/model',
    'pad_token': PAD,
    'data': {
      'source': 'hh',
      'path': f'{root}/data',
      'on_error': 'raise',
      'split_seed': 0,
    },
    'feature_folder': f'{root}/features',
  }


def _small(config):
  reading = config['reading'] | CUTS | {'train_pairs': 64}
  adapters = config['adapters'] | {'layers': 2, 'rank': 2}
  return config | {'reading': reading, 'adapters': adapters}


def pm(root, **changes):
  config = _small(_config('pm', 'smollm2')) | _shared(root)
  return config | {
    'features': {'edges': [64], 'tokens': 512},
    'seed': 0,
    'batch_size': 8,
    'microbatches': 1,
    'epochs': 3,
    'learning_rate': 0.02,
    'checkpoint_every': 3,
    **changes,
  }


def ppo(root, **changes):
  config = _small(_config('ppo', 'smollm2')) | _shared(root)
  return config | {
    'seed': 0,
    'max_prompt': 40,
    'max_reply': 6,
    'iterations': 3,
    'batch_size': 4,
    'minibatch_size': 4,
    'passes': 1,
    'learning_rate': 0.01,
    'eval_prompts': 4,
    'eval_batch': 4,
    'dense_iterations': 3,
    'dense_every': 1,
    'shown': {'each': 1, 'replies': 2, 'snapshots': 2},
    'checkpoint_every': 2,
    'train_pm_dir': f'{root}/pm-a',
    'test_pm_dir': f'{root}/pm-b',
    'value_pm_dir': f'{root}/pm-a',
    **changes,
  }


def hhh(root, **changes):
  config = _config('hhh', 'smollm2') | _shared(root)
  return config | {
    'seed': 0,
    'max_prompt': 40,
    'max_answer': 10,
    'system_tokens': 400,
    'edges': [48],
    'pm_dirs': [f'{root}/pm-a', f'{root}/pm-b'],
    **changes,
  }
