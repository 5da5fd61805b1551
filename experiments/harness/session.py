"""Units measured on one model, into a folder that keeps them.

The harness is imported by the scripts, when something is measured.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.harness import data, outcomes, plan
from experiments.shared.imported import parts, revision, with_system
from experiments.shared.kept import claim, write_whole
from rlhf_jax import digests
from rlhf_jax.text.tokenizer_files import need

# Before the harness is imported: nothing is looked for at the hub.
OFFLINE = {'HF_HUB_OFFLINE': '1', 'HF_DATASETS_OFFLINE': '1'}
UNITS = 'units'  # folder of the rows of what is done
# Names of model.json that workdirs of before do not have.
LATER = ('tokenizer', 'pad_token')
# Columns of a row in which two results of a unit have to agree: an item may be
# the number of a line, and a prompt is of its task file and the harness.
SAME = ('data', 'tasks', 'harness')


class Tools(NamedTuple):
  """What measures.

  Attributes:
    open_writer: of `models`.
    adapter: `adapter.HarnessLM`.
    reading: the module of that name.
    measure: the module of that name.
  """

  open_writer: Callable
  adapter: Callable
  reading: Any
  measure: Any


def require(units, folder):
  """Raises an error of one line where a file or the harness is missing."""
  for unit in units:
    data.read(str(folder), unit.task)
  os.environ.update(OFFLINE)
  need('lm_eval', 'eval')
  logging.getLogger('lm_eval').setLevel(logging.ERROR)


def open_model(options, tools):
  """The model as the harness asks for one.

  Args:
    options: model, tokenizer, pad_token.
    tools: Tools.
  """
  path, _ = parts(options['model'])
  opened = tools.open_writer(
    path, tokenizer=options['tokenizer'], pad_token=options['pad_token']
  )
  # Put on the device once: as NumPy arrays they would go there in every call.
  opened = opened._replace(params=jax.device_put(opened.params))
  return tools.adapter(
    opened.tokenizer,
    path,
    tools.reading.longest_of(opened),
    tools.reading.make_score(opened),
    tools.reading.make_write(opened),
    with_system,
  )


def measured(unit, model, options, about, tools):
  """Rows of a unit, which are kept with its items in the workdir."""
  began = time.perf_counter()
  _, system = parts(options['model'])
  samples = tools.measure.samples_of(
    unit, model, options['data'], options['limit'], system
  )
  items = outcomes.items_of(samples)
  head = {
    'name': unit.name,
    'task': unit.task,
    'form': unit.form,
    'shots': unit.shots,
    'template': unit.template,
  }
  tail = {
    'of': len(data.read(str(options['data']), unit.task)),
    'examples': unit.examples,
    'data': data.revision(options['data'], unit.task),
    **about,
    'seconds': round(time.perf_counter() - began, 1),
  }
  rows = [head | row | tail for row in outcomes.rows_of(items)]
  write_unit(options['workdir'], unit, rows, items)
  return rows


def rows_of(units, options, tools, shown=lambda rows: None):
  """Rows of all units; what the workdir has is not measured again.

  Args:
    units: plan.Units, of which `require` has found the files.
    options: model, tokenizer, pad_token, data, limit, workdir.
    tools: Tools.
    shown: is called with the rows of each unit as soon as they are there.

  Raises:
    ValueError: if the workdir is of another model, setting or data.
  """
  about = {
    'model': options['model'],
    'revision': revision(options['model']),
    'tasks': plan.tasks_revision(),
    'harness': tools.measure.version(),
  }
  key = about | {'limit': options['limit'], 'pad_token': options['pad_token']}
  key |= {'tokenizer': _named(options['tokenizer'])}
  workdir = Path(options['workdir'])
  claim(workdir / 'model.json', key, kept=workdir / UNITS, later=LATER)
  model, rows = None, []
  for unit in units:
    found = rows_of_unit(options['workdir'], unit)
    if found is None:
      model = model or open_model(options, tools)
      found = measured(unit, model, options, about, tools)
    else:
      _require_data(unit, found, options)
    shown(found)
    rows += found
  return rows


def _named(tokenizer):
  """Name of a tokenizer's file, and what is in it; '' without one."""
  if not tokenizer:
    return ''
  return f'{Path(tokenizer).name} {digests.of_file(tokenizer)[:12]}'


def _require_data(unit, rows, options):
  """Raises ValueError if the kept rows of a unit are of other data."""
  wanted = data.revision(options['data'], unit.task)
  found = rows[0].get('data', wanted)
  if found != wanted:
    raise ValueError(
      f'{options["workdir"]} holds {unit.name} measured on data {found}, '
      f'wanted {wanted}, as {options["data"]} has it: give another --workdir'
    )


def write_unit(workdir, unit, rows, items):
  """Keeps a unit's items and then its rows, which say that it is done."""
  lines = ''.join(json.dumps(item, ensure_ascii=False) + '\n' for item in items)
  write_whole(Path(workdir) / 'items' / f'{unit.name}.jsonl', lines)
  write_whole(
    Path(workdir) / UNITS / f'{unit.name}.json', json.dumps(rows, indent=1)
  )


def rows_of_unit(workdir, unit):
  """Rows that were kept of a unit; None if it was not measured."""
  path = Path(workdir) / UNITS / f'{unit.name}.json'
  if not path.exists():
    return None
  return json.loads(path.read_text(encoding='utf-8'))


def items_of_unit(workdir, unit):
  """Items that were kept of a unit.

  Raises:
    FileNotFoundError: if it was not measured there.
  """
  path = Path(workdir) / 'items' / f'{unit.name}.jsonl'
  if not path.exists() or rows_of_unit(workdir, unit) is None:
    raise FileNotFoundError(
      f'{path} is missing or not whole: measure {unit.name} into {workdir} '
      'first'
    )
  with path.open(encoding='utf-8') as file:
    return [json.loads(line) for line in file]


def sides_of(before, after, unit):
  """(items before, items after) of a unit that two workdirs have.

  Raises:
    FileNotFoundError: if it was not measured in one of them.
    ValueError: if it was measured there on other data, or in another way.
  """
  items = [items_of_unit(folder, unit) for folder in (before, after)]
  old, new = (rows_of_unit(folder, unit)[0] for folder in (before, after))
  for name in SAME:
    if old.get(name) != new.get(name):
      raise ValueError(
        f'{unit.name} is of {name} {old.get(name)} in {before} and of '
        f'{new.get(name)} in {after}: their items are not the same; measure '
        'one of them again, into another --workdir'
      )
  return items
