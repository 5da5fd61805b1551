"""Reading a Hugging Face folder: config.json and safetensors, leaf by leaf."""

import contextlib
import math
import re
from pathlib import Path

import jax
import numpy as np

from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.families import names_of
from rlhf_jax.models.pretrained.layouts import their_shapes
from rlhf_jax.models.pretrained.placing import (
  Pretrained,
  PretrainedError,
  place_leaves,
)
from rlhf_jax.models.pretrained.settings import (
  SHIFT,
  checked,
  config_of,
  family_of,
)
from rlhf_jax.text.checked import shown
from rlhf_jax.text.tokenizer_files import need, read_json

INDEX, SINGLE = 'model.safetensors.index.json', 'model.safetensors'
PICKLES = ('*.bin', '*.pt', '*.pth', '*.ckpt', '*.pkl')
FLOATS = ('F64', 'F32', 'F16', 'BF16')


def _json(path):
  try:
    return read_json(path)
  except FileNotFoundError:
    raise PretrainedError(f'{path}: no such file') from None
  except ValueError as error:
    raise PretrainedError(str(error)) from error


def _files(path):
  """The folder's safetensors files.

  Raises:
    PretrainedError: if there are none; pickles are never read.
  """
  if (path / INDEX).exists():
    names = _json(path / INDEX).get('weight_map')
    if not isinstance(names, dict) or not names:
      raise PretrainedError(f'{path / INDEX}: wanted a weight_map')
    for name, file in names.items():
      if not isinstance(file, str) or not file or '\0' in file:
        raise PretrainedError(
          f'{path / INDEX}: wanted the name of a file for {name}, got '
          f'{shown(file)}: download the index again'
        )
    files = [path / name for name in dict.fromkeys(names.values())]
    for file in files:
      if '..' in file.parts[len(path.parts) :] or not file.is_relative_to(path):
        raise PretrainedError(f'{path / INDEX}: {file} is outside the folder')
      if not file.exists():
        raise PretrainedError(f'{file}: named in {INDEX}, and not there')
    return files
  if (path / SINGLE).exists():
    return [path / SINGLE]
  pickles = sorted(f.name for kind in PICKLES for f in path.glob(kind))
  if pickles:
    raise PretrainedError(
      f'{path / pickles[0]}: pickles can run code and are not read: save the '
      'model with safetensors (save_pretrained of transformers does)'
    )
  raise PretrainedError(f'{path}: no {SINGLE} and no {INDEX}')


class Arrays:
  """Every array of a folder by name; read when asked for, a name at a time.

  Use as a context manager: files are mapped, not read.
  """

  def __init__(self, path):
    self._stack = contextlib.ExitStack()
    self._files, self.shapes = {}, {}
    package = need('safetensors', 'hf')
    with contextlib.ExitStack() as stack:
      for file in _files(path):
        try:
          opened = stack.enter_context(package.safe_open(file, 'np'))
        except (package.SafetensorError, OSError) as error:
          raise PretrainedError(
            f'{file}: no safetensors file, or a damaged one ({error}): '
            'download it again'
          ) from None
        self._add(file, opened)
      self._stack = stack.pop_all()

  def _add(self, file, opened):
    for name in opened.keys():  # noqa: SIM118, it is no dict
      if name in self._files:
        raise PretrainedError(f'{file}: {name} is in two files')
      part = opened.get_slice(name)
      self._files[name] = file, opened, part.get_dtype()
      self.shapes[name] = tuple(part.get_shape())

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self._stack.close()

  def read(self, name):
    """One array, in the type of the file."""
    file, opened, kind = self._files[name]
    if kind not in FLOATS:
      raise PretrainedError(
        f'{file}: {name} has the type {kind}: wanted {", ".join(FLOATS)}'
      )
    return opened.get_tensor(name)


def _wanted(config, family, prefix):
  """{our path: (their names, Layout, shape of the leaf)} of the trunk."""
  init = jax.eval_shape(build(config).init, jax.random.key(0))['trunk']
  found = {}
  for keys, leaf in jax.tree_util.tree_leaves_with_path(init):
    path = tuple(key.key for key in keys)
    if path == ('lm_head',):
      names, layout = (family.head,), names_of(family, ('embed',))[1]
    else:
      names, layout = names_of(family, path)
      names = tuple(prefix + name for name in names)
    found[path] = names, layout, leaf.shape
  return found


def _check_size(path, config, arrays):
  """Raises PretrainedError where config.json speaks of more than there is.

  It comes before anything is done for each layer: a number is quickly written.
  """
  elements = sum(math.prod(shape) for shape in arrays.shapes.values())
  for what, said, most in (
    ('layers', config.n_layers, len(arrays.shapes)),
    ('tokens', config.vocab_size, elements),
    ('features', config.d_model, elements),
    ('features of all heads', config.n_heads * config.head_size, elements),
    ('features of the MLP', config.d_mlp, elements),
  ):
    if said > most:
      raise PretrainedError(
        f'{path}: config.json speaks of {said} {what}, its files hold '
        f'{len(arrays.shapes)} arrays of {elements} numbers: is it of another '
        'model?'
      )


def _check(path, arrays, expected, ignored):
  """Raises PretrainedError for a missing, misshapen or extra array."""
  for name, shape in expected.items():
    if name not in arrays.shapes:
      raise PretrainedError(f'{path}: no array {name} of shape {list(shape)}')
    if arrays.shapes[name] != shape:
      raise PretrainedError(
        f'{path}: {name} has shape {list(arrays.shapes[name])}: wanted '
        f'{list(shape)} by config.json'
      )
  for name in arrays.shapes:
    if name not in expected and not any(re.search(x, name) for x in ignored):
      raise PretrainedError(
        f'{path}: {name} is an array that its config.json has no place for'
      )


def load_folder(
  path, *, shardings_of=None, dtype='float32', param_dtype='float32', **fields
):
  """Reads a model that `transformers` saved, or that could load.

  Files are mapped and each leaf is put together, placed and let go before the
  next one, so that the host never holds the model twice.

  Args:
    path: folder with config.json and safetensors, in one file or in shards.
    shardings_of: a function from a tree to the shardings of its leaves, as
      `partial(train.sharding.shardings_of, mesh=mesh)`; None: one device.
    dtype: computation type of the config.
    param_dtype: type of the parameters.
    **fields: other fields of TransformerConfig, such as remat.

  Returns:
    Pretrained; params are {'trunk'}, and 'head' where the folder holds a
    SequenceClassification model with one label.

  Raises:
    PretrainedError: (a ValueError) in one line, if something is missing, extra,
      misshapen, damaged, or of an architecture that is not known.
  """
  path = Path(path)
  settings = _json(path / 'config.json')
  file = path / 'config.json'
  config = config_of(settings, file, dtype=dtype, **fields)
  family, classifies = family_of(settings, file)
  with Arrays(path) as arrays:
    body = any(name.startswith(family.prefix) for name in arrays.shapes)
    prefix = family.prefix if body else ''  # GPT-2's own files have none
    _check_size(path, config, arrays)
    wanted = _wanted(config, family, prefix)
    expected = {
      name: shape
      for names, layout, leaf in wanted.values()
      for name, shape in zip(
        names, their_shapes(layout, leaf, config), strict=True
      )
    }
    if classifies:
      expected['score.weight'] = (1, config.d_model)
    ignored = family.buffers
    stored = config.tied and not classifies and family.head in arrays.shapes
    if stored:
      ignored += (f'^{re.escape(family.head)}$',)
    _check(path, arrays, expected, ignored)
    if stored:
      _check_tied(path, arrays, family, wanted['embed',][0][0])
    leaves = _leaves(arrays, wanted, config, np.dtype(param_dtype))
    params = place_leaves(leaves, shardings_of)
    if classifies:
      head = {
        'kernel': arrays.read('score.weight')[0].astype(np.float32),
        'bias': np.float32(checked(settings, file, {SHIFT: 0.0}).number(SHIFT)),
      }
      parts = ((('head', name), np.asarray(x)) for name, x in head.items())
      params |= place_leaves(parts, shardings_of)
  return Pretrained(config, params, settings)


def _check_tied(path, arrays, family, embedding):
  """A tied head that is stored all the same must be the embedding."""
  if not np.array_equal(arrays.read(family.head), arrays.read(embedding)):
    raise PretrainedError(
      f'{path}: {family.head} is not the embedding, though config.json says '
      'tie_word_embeddings'
    )


def _leaves(arrays, wanted, config, dtype):
  """Yields (path, array) of the trunk's leaves, one at a time."""
  for path, (names, layout, _) in wanted.items():
    # No local name: it would keep a leaf alive while the next is read.
    yield ('trunk', *path), _leaf(arrays, names, layout, config, dtype)


def _leaf(arrays, names, layout, config, dtype):
  ours = layout.join([arrays.read(name) for name in names], config)
  return np.ascontiguousarray(ours, dtype)
