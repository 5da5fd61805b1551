"""Writing folders that `transformers` loads: policies and preference models.

What a folder cannot hold is put in another way, with the same numbers:

- The factor on the embeddings is multiplied into them; where the head was tied
  to the embedding it then becomes an array of its own.
- A score has no bias in `transformers`: see `save_preference_model`.
"""

import dataclasses
import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.models.pretrained.families import names_of
from rlhf_jax.models.pretrained.folder import INDEX
from rlhf_jax.models.pretrained.placing import PretrainedError
from rlhf_jax.models.pretrained.settings import SHIFT, family_for, settings_of
from rlhf_jax.models.pretrained.vocabulary import grow_vocabulary
from rlhf_jax.text.tokenizer_files import need

SHARD_BYTES = 4 * 2**30
ONE_LABEL = {
  'num_labels': 1,
  'id2label': {'0': 'SCORE'},
  'label2id': {'SCORE': 0},
  'problem_type': 'regression',
}


def save_policy(
  path,
  config,
  params,
  tokenizer=None,
  *,
  settings=None,
  dtype='float32',
  shard_bytes=SHARD_BYTES,
):
  """Writes a language model as a ...ForCausalLM folder.

  Args:
    path: folder; made if it is not there.
    config: TransformerConfig.
    params: {'trunk'}; a 'head' beside it is left out.
    tokenizer: None, or anything with `save_pretrained(path)`; what that
      returns, if it is a dict, goes into config.json.
    settings: more of config.json: eos_token_id, bos_token_id, pad_token_id.
    dtype: of the arrays: 'float32' or 'bfloat16'.
    shard_bytes: largest file of weights.

  Raises:
    PretrainedError: if no architecture of Hugging Face has this config (naming
      the fields), the parameters have an array that it has not, such as
      attached adapters, or the folder holds weights already.
  """
  path, family = _begin(path, config, params['trunk'])
  config, trunk = _folded(config, params['trunk'])
  extra = {} if tokenizer is None else tokenizer.save_pretrained(path) or {}
  _write(
    path,
    _arrays(family, config, trunk),
    _named(settings_of(family, config), family.causal, dtype)
    | _agreed(extra, config, path)
    | (settings or {}),
    dtype,
    shard_bytes,
  )


def save_preference_model(
  path,
  config,
  params,
  tokenizer=None,
  *,
  pad_id=None,
  allow_shift=False,
  settings=None,
  dtype='float32',
  shard_bytes=SHARD_BYTES,
):
  """Writes a preference model as a ...ForSequenceClassification folder.

  Its one label is the score at the last token that is not the pad token, so
  that the score is ours if the text ends in the end-of-context token and the
  pad token stands in no text.

  A score has no bias there. Training on pairs gives the bias no gradient, so
  that it is 0 unless something else has set it; then the folder's scores are
  ours less the bias, which changes no preference. That has to be asked for, and
  the bias is kept in config.json, from where `load_folder` takes it again.

  Args:
    path: folder; made if it is not there.
    config: TransformerConfig.
    params: {'trunk', 'head'}; an untied next-token head is left out.
    tokenizer: None, or anything with `save_pretrained(path, preference=True)`,
      as for `save_policy`. It has to append the end-of-context token, and its
      pad token has to have this id.
    pad_id: a token that no text holds; None: a new one, which gets a row of its
      own at the end of the embedding.
    allow_shift: whether the bias of the score may be left out.
    settings: more of config.json.
    dtype: of the arrays: 'float32' or 'bfloat16'.
    shard_bytes: largest file of weights.

  Raises:
    PretrainedError: as of `save_policy`, or if the score has a bias or the pad
      id is not in the vocabulary.
  """
  bias = _score_bias(params, allow_shift)
  config, params, pad_id = _padded(config, params, pad_id)
  path, family = _begin(path, config, params['trunk'])
  config, trunk = _folded(config, params['trunk'], headless=True)
  extra = {}
  if tokenizer is not None:
    extra = tokenizer.save_pretrained(path, preference=True) or {}
  score = ('score.weight', np.asarray(params['head']['kernel'])[None])
  _write(
    path,
    itertools.chain(_arrays(family, config, trunk), [score]),
    _named(settings_of(family, config), family.classifier, dtype)
    | _agreed(extra, config, path, pad_token_id=pad_id)
    | (settings or {})
    | ONE_LABEL
    | {'pad_token_id': pad_id, SHIFT: bias},
    dtype,
    shard_bytes,
  )


def _padded(config, params, pad_id):
  """(config, params, pad_id), with a new token where there is no pad token."""
  if pad_id is None:
    pad_id = config.vocab_size
    config, params = grow_vocabulary(config, params)
  if not 0 <= pad_id < config.vocab_size:
    raise PretrainedError(
      f'pad_id {pad_id} is not in the vocabulary of {config.vocab_size} tokens'
    )
  return config, params, pad_id


def _score_bias(params, allow_shift):
  """The bias of the head, which no SequenceClassification model has."""
  bias = float(params['head']['bias'])
  if bias and not allow_shift:
    raise PretrainedError(
      f'the score has the bias {bias:g}, which no SequenceClassification model '
      'has: allow_shift=True writes scores that are less by it'
    )
  return bias


def _begin(path, config, trunk):
  """(Path of the folder, Family); nothing is written where this raises."""
  family, path = family_for(config), Path(path)
  _check_leaves(family, trunk)
  if any(path.glob('*.safetensors')):
    raise PretrainedError(
      f'{path}: holds safetensors already: give another folder, or empty it'
    )
  path.mkdir(parents=True, exist_ok=True)
  return path, family


def _check_leaves(family, trunk):
  """Raises PretrainedError for a leaf that no folder of the family has."""
  for keys, _ in jax.tree_util.tree_leaves_with_path(trunk):
    names = [key.key for key in keys]
    leaf = f'trunk/{"/".join(names)}'
    if names[-1] in ('lora_a', 'lora_b'):
      raise PretrainedError(
        f'{leaf} is of an adapter: wanted merged parameters, as '
        'rlhf_jax.models.lora.merge makes them'
      )
    try:
      _ = names == ['lm_head'] or names_of(family, names)
    except KeyError:
      raise PretrainedError(
        f'{leaf} is no array of {family.model_type}: leave it out'
      ) from None


def _folded(config, trunk, headless=False):
  """(config with factor 1, trunk): embeddings multiplied by their factor."""
  trunk = dict(trunk)
  if headless:
    trunk.pop('lm_head', None)
    config = dataclasses.replace(config, tied=True)
  factor = config.embed_factor
  if factor == 1.0:
    return config, trunk
  if config.tied and not headless:
    trunk['lm_head'] = trunk['embed']
  tied = config.tied and headless
  for name in {'embed', 'position_embed'} & trunk.keys():
    trunk[name] = jnp.asarray(trunk[name]) * factor
  return dataclasses.replace(config, embed_scale=1.0, tied=tied), trunk


def _named(settings, architecture, dtype):
  """The settings, with class and type in both spellings."""
  if dtype not in ('float32', 'bfloat16'):
    raise PretrainedError(
      f"weights are written in 'float32' or 'bfloat16', got {dtype!r}"
    )
  return settings | {
    'architectures': [architecture],
    'torch_dtype': dtype,
    'dtype': dtype,
    'bos_token_id': None,
    'eos_token_id': None,
    'pad_token_id': None,
  }


def _agreed(extra, config, path, **ours):
  """Settings that the tokenizer has for config.json, if nothing disagrees."""
  extra = extra if isinstance(extra, dict) else {}
  for name, value in (ours | {'vocab_size': config.vocab_size}).items():
    if extra.get(name, value) != value:
      raise PretrainedError(
        f'{path}: the tokenizer has {name} {extra[name]}, the model {value}'
      )
  return extra


def _arrays(family, config, trunk):
  """Yields (name, array) of theirs, a leaf of ours at a time."""
  for keys, leaf in jax.tree_util.tree_leaves_with_path(trunk):
    path = tuple(key.key for key in keys)
    if not getattr(leaf, 'is_fully_addressable', True):
      raise PretrainedError(
        f'{"/".join(path)}: other processes hold parts of it: gather the '
        'parameters first'
      )
    host = np.asarray(leaf)
    if path == ('lm_head',):
      yield family.head, host
      continue
    names, layout = names_of(family, path)
    parts = layout.split(host, config)
    for name, part in zip(names, parts, strict=True):
      yield family.prefix + name, part


def _write(path, arrays, settings, dtype, shard_bytes):
  """config.json and the arrays, in as many files as they need."""
  save = need('safetensors.numpy', 'hf').save_file
  kind = jnp.dtype(dtype)
  files, held, size, total = [], {}, 0, 0

  def flush():
    file = path / f'part-{len(files)}.safetensors'
    save(dict(held), file, metadata={'format': 'pt'})
    file.chmod(path.stat().st_mode & 0o666)  # it is written for its owner alone
    files.append((file, list(held)))
    held.clear()

  for name, array in arrays:
    array = np.ascontiguousarray(array, kind)  # or its bytes would be mixed up
    if held and size + array.nbytes > shard_bytes:
      flush()
      size = 0
    held[name] = array
    size, total = size + array.nbytes, total + array.nbytes
  flush()
  if len(files) == 1:
    files[0][0].rename(path / 'model.safetensors')
  else:
    _index(path, files, total)
  text = json.dumps(settings, indent=2, sort_keys=True)
  (path / 'config.json').write_text(text + '\n')


def _index(path, files, total):
  """Names the shards as Hugging Face does, and says where each array is."""
  places = {}
  for i, (file, names) in enumerate(files):
    final = f'model-{i + 1:05d}-of-{len(files):05d}.safetensors'
    file.rename(path / final)
    places |= dict.fromkeys(names, final)
  index = {'metadata': {'total_size': total}, 'weight_map': places}
  (path / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + '\n')
