"""Description of a run directory, so that nobody has to guess.

    config.json   {'stage', 'holds', 'trained', 'base', 'config', 'row'}

Paths inside a study are written relative to its root, as 'study:lm/13K', so
that a study can be moved and goes on where it stopped. Runs of before these
fields existed are read through `upgraded`, the one place that guesses.
"""

import os
from pathlib import Path
from typing import NamedTuple

from rlhf_jax import digests

STUDY = 'study:'
HOLDS = (
  'texts',
  'comparisons',
  'language model',
  'preference model',
  'policy',
  'table',
  'study',
)
TRAINED = ('all', 'adapters', 'head')
# Settings that watch a run and change nothing of what it computes: one that
# goes on may have others.
WATCHING = ('loggers', 'health')


class RunError(Exception):
  """A run directory that cannot be used; the message says what to do."""


class StoppedError(RunError):
  """A run that stops by itself and keeps what it had saved.

  Attributes:
    record: dict of reason, message and more, for failed.json.
  """

  def __init__(self, message, *, reason, **record):
    super().__init__(message)
    self.record = {'reason': reason, 'message': message, **record}


def computing(config):
  """A config without the settings that only watch."""
  return {key: x for key, x in config.items() if key not in WATCHING}


class About(NamedTuple):
  """Contents of a run.

  Attributes:
    stage: the script's name: 'train_pm'.
    holds: one of HOLDS.
    trained: one of TRAINED: every parameter, adapters over a frozen base, or a
      head on one; 'all' where nothing is trained.
    base: where its weights came from: a path, a name such as 'smollm2',
      'rung:13K' for fresh ones, or '' where there are none.
  """

  stage: str
  holds: str
  trained: str = 'all'
  base: str = ''


class RunFile(NamedTuple):
  """A config.json as it is read: paths are those of today.

  Attributes:
    about: About.
    config: what the stage was asked for.
    row: run columns of the tidy tables.
  """

  about: About
  config: dict
  row: dict


def study_of(workdir):
  """The nearest folder above `workdir` that holds a study, or None."""
  for folder in Path(workdir).resolve().parents:
    file = folder / 'config.json'
    if file.is_file() and _content(file).get('holds') == 'study':
      return folder
  return None


def store(value, root):
  """The value with every path inside `root` written relative to it.

  Args:
    value: nest of dicts, lists and tuples; absolute paths are strings.
    root: of a study, or None: nothing changes.
  """
  start = f'{root}{os.sep}'
  inside = lambda x: root is not None and x.startswith(start)
  return _map(value, lambda x: STUDY + x[len(start) :] if inside(x) else x)


def resolve(value, root):
  """The value with every path of a study made absolute again.

  Raises:
    RunError: if there is such a path and no study.
  """

  def absolute(x):
    if not x.startswith(STUDY):
      return x
    if root is None:
      raise RunError(
        f'{x!r} is a path of a study, and no folder above is one: a run was '
        'taken out of its study; move the whole study'
      )
    return f'{root}{os.sep}{x[len(STUDY) :]}'

  return _map(value, absolute)


def _map(value, change):
  if isinstance(value, dict):
    return {key: _map(item, change) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return type(value)(_map(item, change) for item in value)
  return change(value) if isinstance(value, str) else value


def read(workdir):
  """The RunFile of a run directory.

  Raises:
    RunError: if it has none, or one that is damaged.
  """
  file = Path(workdir) / 'config.json'
  if not file.is_file():
    raise RunError(f'{workdir} is no run directory: it has no config.json')
  content = _content(file)
  if not isinstance(content.get('config'), dict):
    raise RunError(f'{file} is not of a run: it has no dict "config"')
  try:
    digests.check(workdir, 'config.json')
  except digests.DamagedError as error:
    raise RunError(str(error)) from None
  content = resolve(upgraded(content), study_of(workdir))
  lacking = [name for name in About._fields if name not in content]
  if lacking:
    raise RunError(f'{file} is damaged: it lacks {", ".join(lacking)}')
  about = About(*(content[name] for name in About._fields))
  return RunFile(about, content['config'], content.get('row', {}))


def is_run(path):
  """Whether a path is a run directory of ours, and not another folder."""
  file = Path(path) / 'config.json'
  return file.is_file() and isinstance(_content(file).get('config'), dict)


def _content(file):
  try:
    return digests.read_json(file, dict)
  except OSError as error:
    raise RunError(f'cannot read {file}: {error}') from None
  except digests.DamagedError as error:
    raise RunError(f'cannot read {error}') from None


def upgraded(content):
  """A config.json with its fields, those of older runs added.

  Until these fields existed what a run held had to be guessed from its config:
  a preference model has a `train_subset`, adapters a section of that name, a
  policy a `train_pm_dir`, and so on. The old names of a base, `lm_dir` and
  `model`, become `base`.
  """
  if 'holds' in content:
    return content
  config = dict(content['config'])
  base = config.get('model') or config.get('lm_dir') or ''
  if {'size', 'steps'} <= config.keys():
    base = f'rung:{config["size"]}'
  found = {
    'holds': _guess(config),
    'stage': '',
    'trained': 'adapters' if 'adapters' in config else 'all',
    'base': base,
  }
  if base:
    config |= {'base': base, 'pad_token': config.get('pad_token', '')}
    config |= {'size': config.get('size', ''), 'trained': found['trained']}
    config |= {'dtype': config.get('dtype', 'float32')}
  return content | found | {'config': config}


def _guess(config):
  for key, holds in (
    ('preset', 'study'),
    ('train_subset', 'preference model'),
    ('train_pm_dir', 'policy'),
    ('pm_dirs', 'table'),
    ('tokenizer_dir', 'comparisons'),
    ('lm_size', 'comparisons'),
    ('dialogues', 'texts'),
    ('steps', 'language model'),
  ):
    if key in config:
      return holds
  raise RunError(
    'config.json does not say what the run holds, and its keys do not either: '
    'run its stage again'
  )
