"""Imported models as the base of adapters, and the real pairs in their tokens.

What the stages of such a study share. A process opens a model once, reads the
pairs once and compiles a program once, whatever number of runs it does.
"""

import copy
import dataclasses
import functools
import hashlib
import json
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.shared import checkpoints, programs, sources
from rlhf_jax.data.pairs import PairArrays, encode_pairs
from rlhf_jax.models import lora
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.vocabulary import grow_vocabulary
from rlhf_jax.train.run import RunError, load_params, read_json


@dataclasses.dataclass(frozen=True, eq=False)
class Base:
  """A frozen model; hashed by identity, so that programs are cached on it.

  Attributes:
    functions: `build`'s Model, the end-of-context token in its vocabulary.
    params: its parameters, on the device.
    tokenizer: that came with it.
    n_params: weights without the embedding.
    size: all weights, as a label: 135M.
  """

  functions: Any
  params: Any
  tokenizer: Any
  n_params: int
  size: str


class Pairs(NamedTuple):
  """The comparisons of a study, tokenised.

  Attributes:
    train: PairArrays.
    test: PairArrays; shares no conversation with `train`.
    prompts: {'train': [(text, kind)], 'test': [...]}.
    counts: {'files': ..., 'train': ..., 'test': ...}: rows read, kept, dropped.
  """

  train: PairArrays
  test: PairArrays
  prompts: dict
  counts: dict


def open_base(name, pad_token=''):
  """The Base of a model's name, as `checkpoints.open_model` knows them.

  Args:
    name: 'smollm2' or a path.
    pad_token: a token of its vocabulary; '': the one that it names itself.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  return _open_base(name, pad_token)


@functools.cache
def _open_base(name, pad_token):
  opened = checkpoints.open_model(name, pad_token=pad_token or None)
  total = sum(x.size for x in jax.tree.leaves(opened.params))
  embedding = opened.params['trunk']['embed'].size
  config, params = grow_vocabulary(opened.functions.config, opened.params)
  if opened.tokenizer.vocab_size != config.vocab_size:
    raise ValueError(
      f'wanted a tokenizer of the {config.vocab_size - 1} rows that the '
      f'embedding of {name} has, got one of {opened.tokenizer.vocab_size - 1}'
    )
  label = f'{total / 1e6:.0f}M' if total >= 1e6 else f'{total / 1e3:.0f}K'
  params = programs.spread(params, None)
  return Base(build(config), params, opened.tokenizer, total - embedding, label)


def with_system(tokenizer, system):
  """A tokenizer with a template, and a system prompt before each prompt."""
  copied = copy.copy(tokenizer)
  copied.settings = tokenizer.settings._replace(system=system)
  return copied


def read_pairs(base, data, reading, folder):
  """The Pairs of a config's sections; read once a process.

  Args:
    base: Base, whose tokenizer reads.
    data: source, path, on_error, split_seed.
    reading: max_prompt, max_reply, test_fraction, train_pairs.
    folder: where TFDS keeps the pairs.

  Raises:
    ValueError: if the source is not 'hh', which these stages read alone.
    DataError: if the folder of the pairs is missing or malformed.
  """
  if data['source'] != 'hh':
    raise ValueError(
      f"wanted data.source 'hh' for an imported model, got {data['source']!r}: "
      'the simulated world has models of its own'
    )
  return _pairs(base, json.dumps([data, reading]), str(folder))


@functools.lru_cache(maxsize=1)
def _pairs(base, settings, folder):
  data, reading = json.loads(settings)
  train, test = sources.real_comparisons(
    data['path'],
    f'{folder}/tfds',
    data['on_error'],
    reading['test_fraction'],
    data['split_seed'],
  )
  order = np.random.default_rng(data['split_seed']).permutation(len(train))
  kept = order[: reading['train_pairs'] or None]
  sides = {'train': [train[i] for i in kept], 'test': test}
  encode = lambda items: encode_pairs(
    items,
    base.tokenizer,
    reading['max_prompt'] + reading['max_reply'],
    reading['max_reply'],
  )
  arrays = {side: encode(items) for side, items in sides.items()}
  files = sources.read_counts(data['path'], data['on_error'])
  return Pairs(
    arrays['train'][0],
    arrays['test'][0],
    {side: sources.prompts_of(items) for side, items in sides.items()},
    {'files': files} | {side: dict(n) for side, (_, n) in arrays.items()},
  )


def fresh_adapters(base, adapters, rng):
  """Adapters that change nothing yet, of the last blocks.

  Args:
    base: Base.
    adapters: layers (blocks from the top), rank, targets, alpha.
    rng: key.
  """
  n_layers = base.functions.config.n_layers
  layers = range(first_layer(base, adapters), n_layers)
  targets = lora.layer_targets(layers, adapters['targets'])
  return lora.init_adapters(rng, base.params, adapters['rank'], targets)


def first_layer(base, adapters):
  """The first block that has adapters.

  Raises:
    ValueError: if the model has not so many blocks.
  """
  n_layers = base.functions.config.n_layers
  if not 1 <= adapters['layers'] <= n_layers:
    raise ValueError(
      f'wanted adapters in the last 1 to {n_layers} blocks, got '
      f'{adapters["layers"]}'
    )
  return n_layers - adapters['layers']


def seed_key(seed, *names):
  """A key for (seed, names), so that halves and subsets start apart."""
  digest = hashlib.sha1('/'.join(names).encode()).digest()
  return jax.random.fold_in(
    jax.random.key(seed), int.from_bytes(digest[:4], 'big')
  )


def load_pm(workdir, base):
  """(what was trained, alpha) of a finished `tune_pm` run.

  Raises:
    RunError: if it is no such run.
  """
  config = read_json(f'{workdir}/config.json').get('config', {})
  if not {'adapters', 'train_subset'} <= config.keys():
    raise RunError(f'{workdir} is no run of experiments.tune_pm: give one')
  head = base.functions.init_head
  return load_adapters(workdir, base, config['adapters'], head=head)


def load_adapters(workdir, base, adapters, **others):
  """(what a finished run has trained, alpha).

  Args:
    workdir: its directory.
    base: Base.
    adapters: the section of its config.
    **others: what it has trained beside the adapters: name -> init(rng).
  """

  def init(rng):
    return {'adapters': fresh_adapters(base, adapters, rng)} | {
      name: make(rng) for name, make in others.items()
    }

  like = jax.eval_shape(init, jax.random.key(0))
  return load_params(workdir, like), adapters['alpha']
