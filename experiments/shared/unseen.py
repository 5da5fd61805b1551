"""Prompts of an evaluation that no model in it was trained on.

A run and those that it came from tell what a model learned; `--trained_on` does
where they cannot tell any more, or there is no run. Two prompts are the same if
the human's first words are, whatever their case and spaces.
"""

from pathlib import Path

from experiments.shared import imported, people, rankings
from experiments.shared.errors import EXPECTED, one_line
from experiments.shared.files import read_json
from experiments.shared.score_files import named
from rlhf_jax.data import plain_texts
from rlhf_jax.data.prompt_files import key_of, keys_of_file, words_of
from rlhf_jax.text.dialogue import first_words
from rlhf_jax.train import about

MODELS = ('language model', 'preference model', 'policy')
# Settings of a model that name what it learned from, besides those in _dir(s).
LEARNED = ('base', 'ptx_text')
WATCHING = ('test_pm_dir',)  # nothing is learned from it
REAL = (*people.REAL, rankings.SOURCE)
FLAG = 'trained_on'


def trained_on(path, sides_of) -> frozenset:
  """Keys of the prompts of a run, and of the models and data it came from.

  All of a training side counts, of which a run may have taken a half. What an
  imported base had read before is not known.

  Args:
    path: of the run.
    sides_of: of `asked_questions`.

  Raises:
    OSError, DataError, RunError: if a run or its data cannot be read any more.
  """
  waiting, seen, found = [path], set(), set()
  while waiting:
    path = waiting.pop()
    if path in seen:
      continue
    seen.add(path)
    run = about.read(path)
    if run.about.holds == 'comparisons':
      own = read_json(f'{path}/prompts.json')['train']
    elif run.about.holds == 'texts':
      own = _of_texts(path, run.config)
    elif run.about.holds in MODELS:
      waiting += _before(path, run.config)
      own = _of_model(path, run.config, sides_of)
    else:
      own = []
    found |= {key_of(first_words(dialogue)) for dialogue, _ in own}
  return frozenset(found)


def _of_model(path, config, sides_of):
  """[(dialogue, kind)] of the pairs that a model read by itself."""
  source = config.get('data', {}).get('source')
  reads = 'reading' in config and not config.get('comparisons_dir')
  return sides_of(path).train if reads and source in REAL else []


def _of_texts(path, config):
  """[(dialogue, kind)] of texts that language models learn."""
  if (Path(path) / 'prompts.json').exists():
    return read_json(f'{path}/prompts.json')['train']
  data = config.get('data', {})
  if data.get('source') not in people.REAL:
    return []
  found = people.read_people(
    data, f'{path}/tfds', config['test_fraction'], counted=False
  )
  return [(item.chosen, item.kind) for item in found.train]


def _before(path, config):
  """Runs that a model learned from, by its config.

  Raises:
    RunError: if one of them is no longer there.
  """
  found = []
  for key, value in config.items():
    named = key in LEARNED or key.endswith(('_dir', '_dirs'))
    if not named or key in WATCHING:
      continue
    if isinstance(value, str):
      value = plain_texts.named(value) if key == 'ptx_text' else [value]
    for name in value or ():
      if name in ('', 'smollm2') or name.startswith('rung:'):
        continue
      if run_of(name):
        found.append(run_of(name))
      elif not Path(name).exists():
        raise about.RunError(f'{key}={name} of {path} is not there')
  return found


def run_of(model):
  """The run that a model is, or in whose folder it was exported; or None."""
  path = Path(imported.parts(model)[0])
  above, name = path.parent, path.name
  if about.is_run(path):
    return str(path)
  if about.is_run(above) and about.read(above).config.get('export') == name:
    return str(above)
  return None


def known_prompts(models, told, sides_of) -> dict[str, frozenset]:
  """Keys of the prompts that each model was trained on, {model: keys}.

  Those of a model that is no run of ours are not known unless they are told: a
  line says so.

  Args:
    models: [(name, model)] of all that write or judge.
    told: list of NAME=FILE_OR_RUN, of `--trained_on`.
    sides_of: of `asked_questions`.

  Raises:
    ValueError: if a name is of none of them.
    RunError: if what a run was trained on cannot be read any more.
  """
  files, found, names = named(told, FLAG), {}, [name for name, _ in models]
  for name in files:
    if name not in names:
      raise ValueError(
        f'--{FLAG}={name}={files[name]}: wanted the name of a model or judge '
        f'that was given, got {", ".join(names) or "none of them"}'
      )
  for name, model in models:
    if name in files:
      found[model] = _told(files[name], sides_of)
    elif run_of(model):
      found[model] = _of_run(name, run_of(model), sides_of)
    else:
      print(
        f'{name}={model} is no run: what it was trained on is not known, and '
        f'no prompt is taken out for it unless --{FLAG}={name}=FILE_OR_RUN'
      )
  return found


def _told(path, sides_of):
  """Keys of a run or a file."""
  if about.is_run(path):
    return trained_on(path, sides_of)
  return keys_of_file(path)


def _of_run(name, path, sides_of):
  """Keys of a run, or one line that says what to do."""
  try:
    return trained_on(path, sides_of)
  except EXPECTED as error:
    raise about.RunError(
      f'{name}: what {path} was trained on cannot be read any more, so nobody '
      f'knows which prompts to take out: {one_line(error)}: put it back, or '
      f'name it, --{FLAG}={name}=FILE_OR_RUN'
    ) from error


def without_known(label, items, prompt_of, known):
  """The items whose prompts no model was trained on; prints how many were.

  Args:
    label: of the set, for the line.
    items: of the set.
    prompt_of: item -> its prompt, words or a dialogue.
    known: of `known_prompts`; {}: nothing is taken out or printed.

  Raises:
    ValueError: if nothing is left.
  """
  if not known:
    return items
  words = [words_of(prompt_of(item)) for item in items]
  keys = list(map(key_of, words))
  asked = set(keys)
  guilty = [model for model, own in known.items() if asked & own]
  out = asked & frozenset().union(*known.values())
  who = ', '.join(guilty or known)
  was = 'was' if len(guilty or known) == 1 else 'were'
  print(
    f'{label}: {len(out)} of {len(asked)} prompts taken out, {who} {was} '
    f'trained on {"them" if out else "none of them"}'
  )
  if out == asked:
    raise ValueError(
      f'{label}: wanted prompts that {who} {was} not trained on, got none of '
      f'{len(asked)}: leave this set out, or take other models'
    )
  return [item for item, key in zip(items, keys, strict=True) if key not in out]
