"""Language models of Hugging Face folders, as the stages start from them."""

import dataclasses
import functools
import json
from pathlib import Path

import jax

from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.pretrained.vocabulary import grow_vocabulary
from rlhf_jax.train.sharding import shardings_of

# What a stage chooses, and what only fills other fields in.
CHOSEN = ('vocab_size', 'dtype', 'remat', 'max_length', 'use_bias')


def is_folder(path):
  """Whether a directory is such a folder; ours have another config.json."""
  file = Path(path) / 'config.json'
  return file.exists() and 'model_type' in json.loads(file.read_text())


def load(path, config, mesh=None):
  """Parameters of a folder for a config, cut over the mesh as they are read.

  The vocabulary grows to the config's, which has a row for end-of-context.

  Args:
    path: the folder.
    config: TransformerConfig that the stage has built.
    mesh: of `programs.mesh_of`.

  Raises:
    ValueError: naming the fields in which the folder holds another model.
  """
  place = functools.partial(shardings_of, mesh=mesh) if mesh else None
  found, params, _ = load_folder(path, shardings_of=place)
  ours, theirs = dataclasses.asdict(config), dataclasses.asdict(found)
  differing = [
    f'{key} {value!r}, wanted {ours[key]!r}'
    for key, value in theirs.items()
    if key not in CHOSEN and value != ours[key]
  ]
  more = config.vocab_size - found.vocab_size
  if more < 0:
    differing.append(
      f'vocab_size {found.vocab_size}, wanted at most {config.vocab_size}'
    )
  if differing:
    raise ValueError(f'{path} holds another model: {"; ".join(differing)}')
  _, params = grow_vocabulary(found, params, more)
  return jax.device_put(params, place(params)) if mesh else params
