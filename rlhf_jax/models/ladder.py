"""The paper's ladder of sizes and the milli ladder below it.

Sizes are named by non-embedding parameters, 12 L D^2, in steps of about four
(Bai et al. 2022, section 3.1; Askell et al. 2021, appendix A: D = 128 L).
Beside them Pythia, whose weights are public; and any model in a Hugging Face
folder, whose path is then its name.
"""

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.settings import config_of
from rlhf_jax.text.tokenizer_files import read_json


class Rung(NamedTuple):
  """One size: depth, width, heads, and the LM learning rate that goes with it.

  The learning rates of the milli ladder were scanned on the simulated world;
  those of the paper's ladder are not stated in the paper and follow the usual
  fall with width (GPT-3's table 2.1 is the nearest published one).
  """

  n_layers: int
  d_model: int
  n_heads: int
  learning_rate: float

  @property
  def non_embedding(self):
    """12 L D^2, the nominal count that names the rung."""
    return 12 * self.n_layers * self.d_model**2


MILLI = {
  '3K': Rung(2, 12, 2, 1.5e-2),
  '13K': Rung(2, 24, 2, 1e-2),
  '42K': Rung(2, 40, 2, 8e-3),
  '197K': Rung(4, 64, 4, 4e-3),
  '810K': Rung(4, 128, 4, 2e-3),
  '2.7M': Rung(6, 192, 6, 1.5e-3),
}
PAPER = {
  '13M': Rung(4, 512, 8, 1e-3),
  '42M': Rung(6, 768, 12, 6e-4),
  '197M': Rung(10, 1280, 20, 3e-4),
  '810M': Rung(16, 2048, 32, 2e-4),
  '2.7B': Rung(24, 3072, 48, 1.6e-4),
  '13B': Rung(40, 5120, 80, 1.2e-4),
  '52B': Rung(64, 8192, 128, 1e-4),
}
# Pythia (Biderman et al. 2023, arXiv:2304.01373, table 1): layers, width, heads
# and the rate of its pretraining. `pythia-dry` is for tests and has no weights.
PYTHIA = {
  'pythia-70m': Rung(6, 512, 8, 1e-3),
  'pythia-160m': Rung(12, 768, 12, 6e-4),
  'pythia-410m': Rung(24, 1024, 16, 3e-4),
  'pythia-1b': Rung(16, 2048, 8, 3e-4),
  'pythia-1.4b': Rung(24, 2048, 16, 2e-4),
  'pythia-2.8b': Rung(32, 2560, 32, 1.6e-4),
  'pythia-dry': Rung(2, 32, 2, 1e-3),
}
_PYTHIA_FIELDS = dict(
  norm='layer',
  activation='gelu_exact',
  parallel_residual=True,
  tied=False,
  qkv_bias=True,
  out_bias=True,
  mlp_bias=True,
  embed_scale=1.0,
  max_length=2048,
  remat=True,
)
PYTHIA_ROWS = 50304  # of its embedding; those above 50,277 stand for no token
# 52M stands between the ladders' 4x steps: the next rung up from milli 13M.
LADDER = MILLI | PAPER | {'52M': Rung(8, 736, 16, 6e-4)}


def rung(name):
  """Looks a size up by its name; a name with a slash is a folder.

  Raises:
    ValueError: if there is no such rung; PretrainedError, one too, if the
      folder's config.json is not of an architecture that we know.
  """
  if '/' in name:
    return rung_of(_folder(name))
  known = LADDER | PYTHIA
  if name not in known:
    raise ValueError(
      f'no rung named {name!r} on the ladder: one of {", ".join(known)}, or '
      'the path of a Hugging Face folder'
    )
  return known[name]


def _folder(path):
  file = Path(path) / 'config.json'
  return config_of(read_json(file), file)


def rung_of(config):
  """The rung of any config; its rate is a rule of thumb.

    0.003239 - 0.0001395 ln N    N parameters without embeddings

  Reference: Kaplan et al. 2020 (arXiv:2001.08361), equation D.1.
  """
  size = Rung(config.n_layers, config.d_model, config.n_heads, 0.0)
  rate = 0.003239 - 0.0001395 * math.log(size.non_embedding)
  return size._replace(learning_rate=max(rate, 1e-5))


def config_for(name, vocab_size, **overrides):
  """TransformerConfig of a rung; `overrides` replace any field.

  Imported models compute blocks again in the backward pass, since memory is
  what they lack when all of their parameters are trained.
  """
  if '/' in name:
    fields = {'vocab_size': vocab_size, 'remat': True} | overrides
    return dataclasses.replace(_folder(name), **fields)
  size = rung(name)
  fields = dict(
    vocab_size=vocab_size,
    n_layers=size.n_layers,
    d_model=size.d_model,
    n_heads=size.n_heads,
  )
  if name in PYTHIA:
    fields |= _PYTHIA_FIELDS | {
      'rotary_size': size.d_model // size.n_heads // 4
    }
  return TransformerConfig(**(fields | overrides))
