"""What a finished run has trained, as a whole model: for export and for use.

Runs of `tune_pm` and `tune_ppo` hold adapters; they are merged into the base,
which has to be where the run found it.
"""

from pathlib import Path
from typing import Any, NamedTuple

from experiments import make_text, train_pm
from experiments.shared import checkpoints, imported, programs
from rlhf_jax.models import lora
from rlhf_jax.train.run import RunError, read_json


class Finished(NamedTuple):
  """A model that a run has trained.

  Attributes:
    preference: whether it is a preference model; else a language model.
    functions: `build`'s Model.
    params: {'trunk'}, and the 'head' of a preference model.
    tokenizer: of its texts.
  """

  preference: bool
  functions: Any
  params: Any
  tokenizer: Any


def open_run(workdir) -> Finished:
  """The model of a run of train_lm, train_pm, train_ppo, tune_pm or tune_ppo.

  Raises:
    RunError: if it is no such run, or not finished.
    ValueError, OSError: if its base or tokenizer is not there any more.
  """
  workdir = Path(workdir)
  file = workdir / 'config.json'
  content = read_json(file) if file.exists() else {}
  if 'config' not in content:
    raise RunError(
      f'{workdir} is no run directory: wanted the --workdir of a tune_pm, '
      'tune_ppo, train_pm, train_ppo or train_lm that has finished'
    )
  config = content['config']
  preference = 'train_subset' in config
  if 'adapters' in config:
    return Finished(preference, *_merged(workdir, config, preference))
  if not preference:
    opened = checkpoints.open_model(str(workdir))
    return Finished(False, *opened[:3])
  words = make_text.load_tokenizer(config['text_dir'])
  key = (config['size'], words.vocab_size, config['dtype'])
  params = train_pm.load(workdir, *key)
  return Finished(True, programs.model(*key), params, words)


def _merged(workdir, config, preference):
  """(functions, params, tokenizer) of a base with a run's adapters in it."""
  base = imported.open_base(config['model'], config.get('pad_token', ''))
  trained, alpha = (
    imported.load_pm(workdir, base)
    if preference
    else imported.load_adapters(workdir, base, config['adapters'])
  )
  params = lora.combiner(lora.merge, alpha)(base.params, trained)
  return base.functions, params, base.tokenizer


def open_writer(name, *, tokenizer='', system=None, pad_token=None):
  """As `checkpoints.open_model`, which it is but for runs of `tune_ppo`.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  if not checkpoints.holds_adapters(name):
    return checkpoints.open_model(
      name, tokenizer=tokenizer, system=system, pad_token=pad_token
    )
  found = open_run(name)
  if found.preference:
    raise RunError(
      f'{name} is a preference model: it scores, and writes nothing'
    )
  words = found.tokenizer
  if system is not None:
    if not words.has_template:
      raise ValueError(checkpoints.NO_SYSTEM)
    words = imported.with_system(words, system)
  context = found.functions.config.max_length
  return checkpoints.Opened(found.functions, found.params, words, context)
