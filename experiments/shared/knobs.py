"""One validated reading of a stage's settings, and their list for --help.

What each setting means and which values it takes stands in knobs.toml.
"""

import functools
import math
import re
import shlex
import tomllib
from numbers import Real
from pathlib import Path

# Settings that name a run: its stage, the stage's config, and the setting that
# has the size of its model.
INPUTS = {
  'base': ('train_lm', 'lm', 'size'),
  'text_dir': ('make_text', 'text', ''),
  'lm_dir': ('train_lm', 'lm', 'lm_size'),
  'comparisons_dir': ('make_comparisons', 'comparisons', ''),
  'train_pm_dir': ('train_pm', 'pm', 'pm_size'),
  'test_pm_dir': ('train_pm', 'pm', 'pm_size'),
  'value_pm_dir': ('train_pm', 'pm', 'size'),
  'pm_dirs': ('train_pm', 'pm', 'size'),
  'rm_dir': ('train_pm', 'pm', ''),
  'ensemble_dirs': ('train_pm', 'pm', 'pm_size'),
  'pages_dir': ('make_pages', 'pages', ''),
  'targets_dir': ('make_targets', 'targets', ''),
  'lm_dirs': ('train_lm', 'lm', ''),
  'distilled_dirs': ('distil', 'distil', ''),
}


@functools.cache
def knobs():
  """{name: {'means', 'kind', ...}} of knobs.toml."""
  file = Path(__file__).with_name('knobs.toml')
  return tomllib.loads(file.read_text(encoding='utf-8'))


def wanted(knob, value):
  """'' where a value is right, else what was wanted.

  Numbers have to be finite.

  Args:
    knob: an entry of `knobs()`.
    value: of the setting.
  """
  if 'list' in knob:
    one = {key: x for key, x in knob.items() if key != 'list'}
    right = isinstance(value, list | tuple) and len(value) >= knob['list']
    right = right and not any(wanted(one, x) for x in value)
    least = f'{knob["list"]} or more of: ' if knob['list'] else 'of: '
    return '' if right else f'a list, {least}{_words(one)}'
  right = _is_kind(knob['kind'], value) and all(
    test(value, knob[bound]) for bound, test in BOUNDS.items() if bound in knob
  )
  return '' if right else _words(knob)


BOUNDS = {
  'from': lambda x, bound: x >= bound,
  'above': lambda x, bound: x > bound,
  'to': lambda x, bound: x <= bound,
  'below': lambda x, bound: x < bound,
  'one_of': lambda x, names: x in names,
  'matches': lambda x, pattern: re.fullmatch(pattern, x) is not None,
}
KINDS = {
  'whole': 'a whole number',
  'number': 'a finite number',
  'text': 'a text',
  'switch': 'True or False',
}


def _is_kind(kind, value):
  if kind in ('switch', 'text'):
    return isinstance(value, {'switch': bool, 'text': str}[kind])
  if isinstance(value, bool) or not isinstance(value, Real):
    return False
  return isinstance(value, int) or (kind == 'number' and math.isfinite(value))


def _words(knob):
  """'a whole number, from 1'."""
  if 'one_of' in knob:
    return f'one of {", ".join(map(repr, knob["one_of"]))}'
  if 'matches' in knob:
    return f'a text such as {knob["such_as"]}'
  bounds = [f', {bound} {knob[bound]}' for bound in BOUNDS if bound in knob]
  return KINDS[knob['kind']] + ''.join(bounds)


def leaves(config, above=''):
  """{dotted name: value} of every setting of a nested config."""
  found = {}
  for key, value in config.items():
    if isinstance(value, dict) and value:
      found |= leaves(value, f'{above}{key}.')
    elif not isinstance(value, dict):
      found[above + key] = value
  return found


def knob_of(name, stage=''):
  """The entry of a setting.

  Args:
    name: dotted, perhaps below a section of a study: 'pm.features.edges'.
    stage: the script's name: one setting may mean more than one thing.

  Raises:
    KeyError: if there is none.
  """
  parts = name.split('.')
  names = ['.'.join(parts[i:]) for i in range(len(parts))]
  if parts[-2:-1] == ['pm_lr_multiples']:
    names.append('pm_lr_multiples')  # its keys are rungs
  own = [f'{stage}.{x}' for x in names] if stage else []
  for key in (*own, *names):
    if key in knobs():
      return knobs()[key]
  raise KeyError(name)


def check(config, stage=''):
  """Holds every setting against its rule; None is a setting not yet set.

  Args:
    config: of a stage or of a study, a plain dict.
    stage: the script's name.

  Raises:
    ValueError: naming the first setting that is wrong, and what was wanted.
  """
  for name, value in leaves(config).items():
    try:
      knob = knob_of(name, stage)
    except KeyError:
      continue  # a setting of someone else's stage
    refused = '' if value is None else wanted(knob, value)
    if refused:
      raise ValueError(f'{name}={value!r}: wanted {refused}')
  _check_rows(config)


def _check_rows(config):
  """Raises ValueError where rows cannot be cut as the settings say."""
  inner = 'minibatch_size' if 'minibatch_size' in config else 'batch_size'
  for whole, part in (
    ('batch_size', 'minibatch_size'),
    (inner, 'microbatches'),
    ('batch_size', 'scoring_parts'),
    ('eval_batch', 'scoring_parts'),
    ('eval_prompts', 'eval_batch'),
  ):
    rows, parts = config.get(whole), config.get(part)
    if rows and parts and rows % parts:
      raise ValueError(
        f'{whole}={rows} cannot be cut by {part}={parts}: choose a divisor'
      )


def check_job(job):
  """Raises ValueError, naming the job, if one of its settings is wrong."""
  try:
    check(job.config, job.module.rpartition('.')[2])
  except ValueError as error:
    raise ValueError(f'{job.name}: {error}') from None


def require_inputs(config, preset=''):
  """Raises ValueError, with a command, where a run that is read is missing.

  Args:
    config: of a stage, a plain dict.
    preset: of the config, for the command.
  """
  noise = config.get('hashed_rewards')
  for key in INPUTS:
    value = config.get(key) or ()
    if noise and key in ('train_pm_dir', 'test_pm_dir'):
      continue
    for folder in [value] if isinstance(value, str) else value:
      if key == 'base':  # or a name, or a model of others
        there = '/' not in folder or Path(folder).exists()
      else:
        there = (Path(folder) / 'done.json').exists()
      if not there:
        raise ValueError(_missing(key, folder, config, preset))


def _missing(key, folder, config, preset):
  stage, file, size = INPUTS[key]
  state = 'not finished' if Path(folder).exists() else 'not there'
  if key == 'text_dir' and config.get('objective') == 'demonstrations':
    return (
      f'{key}={folder} is {state}: python -m experiments.make_demonstrations '
      '--config=configs/demonstrations.py:files --config.data.path=FILE '
      f'--workdir={folder} makes it'
    )
  words = ['python', '-m', f'experiments.{stage}']
  words.append(f'--config=configs/{file}.py' + (f':{preset}' if preset else ''))
  if config.get(size):
    words.append(f'--config.size={config[size]}')
  if key == 'test_pm_dir':
    words += ['--config.half=b', '--config.role=rl']
  command = shlex.join([*words, f'--workdir={folder}'])
  study = f'PRESET={preset or "micro"}'
  if key == 'test_pm_dir' and preset in ('', 'micro'):  # which has no policies
    study = 'PRESET=headline WORKDIR=runs/reproduce'
  other = '; or name a Hugging Face folder or a GGUF file' * (key == 'base')
  return (
    f'{key}={folder} is {state}: {command} makes it, make reproduce '
    f'{study} makes all{other}'
  )


def listing(config, stage=''):
  """Lines for --help: every setting, its value here, and its meaning."""
  rows = []
  for name, value in leaves(config).items():
    try:
      meaning = knob_of(name, stage)['means']
    except KeyError:
      meaning = 'of a sweep: see the top of its config'
    shown = 'to be set' if value is None else repr(value)
    rows.append(f'  --config.{name}={shown}')
    rows.append(f'      {meaning}')
  return rows
