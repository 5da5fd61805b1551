"""What the Pythia sweep reads, at its smallest: a model, a tokenizer, pairs."""

import json

import jax
import numpy as np
import tokenizers

from rlhf_jax.data.jsonl import write_comparisons
from rlhf_jax.data.records import make_comparison
from rlhf_jax.models import ladder
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.export import save_policy

ROWS = 264  # of the embedding: more than there are tokens, as Pythia's has
ANIMALS = 'cat dog owl fox cow hen pig bee ant elk emu yak'.split()


def write_model(folder, size='pythia-dry'):
  """A GPT-NeoX folder with random weights and a tokenizer of bytes."""
  config = ladder.config_for(size, ROWS)
  shapes = jax.eval_shape(build(config).init, jax.random.key(0))
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda x: rng.normal(0, 0.1, x.shape).astype(x.dtype), shapes
  )
  save_policy(folder, config, params, settings={'eos_token_id': 0})
  write_tokenizer(folder)
  return folder


def write_tokenizer(folder):
  """Bytes, the end token and padding, neither named as padding (Pythia)."""
  byte_level = tokenizers.pre_tokenizers.ByteLevel
  words = ['<|endoftext|>', '<|padding|>', *sorted(byte_level.alphabet())]
  backend = tokenizers.Tokenizer(
    tokenizers.models.BPE({word: i for i, word in enumerate(words)}, [])
  )
  backend.pre_tokenizer = byte_level(add_prefix_space=False)
  backend.decoder = tokenizers.decoders.ByteLevel()
  backend.add_special_tokens(words[:2])
  backend.save(str(folder / 'tokenizer.json'))
  names = {f'{x}_token': words[0] for x in ('bos', 'eos', 'unk')}
  (folder / 'tokenizer_config.json').write_text(json.dumps(names))


def comparison(text, tranche='helpful-base'):
  """A pair in the HH format; the two replies differ from their first byte."""
  prompt = f'\n\nHuman: Draw a {text}.\n\nAssistant:'
  sides = f'{prompt} Yes.', f'{prompt} No!'
  return make_comparison(*sides, tranche, kind=tranche.removesuffix('-base'))


def write_pairs(folder, tranches=('helpful-base', 'harmless-base')):
  """The released layout: 24 training and 6 test pairs in each tranche."""
  for tranche in tranches:
    for split, sizes in (('train', ('big', 'red')), ('test', ('old',))):
      animals = ANIMALS if split == 'train' else ANIMALS[:6]
      items = [
        comparison(f'{size} {animal}{tranche[:2]}', tranche)
        for size in sizes
        for animal in animals
      ]
      write_comparisons(folder / tranche / f'{split}.jsonl.gz', items)
  return folder
