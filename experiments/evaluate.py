r"""Benchmarks of the lm-evaluation-harness on a model, from local files.

    python -m experiments.evaluate --model=smollm2 --tasks=piqa,hellaswag \
        --shots=0,5 --data=DIR --workdir=runs/evals/smollm2

`--model` is what `experiments.generate` takes. `--data` is the folder that
holds piqa/, hellaswag/ and so on; nothing is fetched. `--forms=cloze,letters`:
the choices' texts are scored, or their letters. A task that was measured into
the workdir before is not measured again. `--before=WORKDIR` compares with
another model's results, item by item.

Written: results.csv and results.json (a row for each metric), items/ (the
outcome of every question), and paired.csv with --before. Needs the extra eval.
"""

import json
import logging
import os
import time
from pathlib import Path

import jax
from absl import flags

from experiments.harness import data, outcomes, plan, reading
from experiments.shared import command, files
from experiments.shared.imported import smollm2_path, with_system
from experiments.shared.models import open_writer
from rlhf_jax import digests
from rlhf_jax.text.tokenizer_files import need

# Before the harness is imported: nothing is looked for at the hub.
OFFLINE = {'HF_HUB_OFFLINE': '1', 'HF_DATASETS_OFFLINE': '1'}
# What a run directory holds besides its model.
UNREAD = {'.lock', 'done.json', 'figures', 'report', 'metrics.jsonl'}


def model_revision(name):
  """Twelve hex digits of the SHA-256 of a model's file or folder."""
  path = smollm2_path() if name == 'smollm2' else Path(name)
  if path.is_file():
    return digests.of_file(path)[:12]
  listed = json.dumps(digests.of_folder(path, UNREAD), sort_keys=True)
  return digests.of_bytes(listed.encode())[:12]


def open_model(options):
  """The model as the harness asks for one."""
  from experiments.harness.adapter import HarnessLM

  opened = open_writer(
    options['model'],
    tokenizer=options['tokenizer'],
    pad_token=options['pad_token'],
  )
  # Put on the device once: as NumPy arrays they would go there in every call.
  opened = opened._replace(params=jax.device_put(opened.params))
  return HarnessLM(
    opened.tokenizer,
    options['model'],
    reading.longest_of(opened),
    reading.make_score(opened),
    reading.make_write(opened),
    with_system,
  )


def measured(unit, model, options, about):
  """Rows of a unit, which are kept with its items in the workdir."""
  from experiments.harness import measure

  began = time.perf_counter()
  samples = measure.samples_of(unit, model, options['data'], options['limit'])
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
  plan.write_unit(options['workdir'], unit, rows, items)
  return rows


def compared(units, options):
  """Rows of paired.csv: each unit against the same of --before."""
  rows = []
  for unit in units:
    sides = [
      plan.items_of_unit(folder, unit)
      for folder in (options['before'], options['workdir'])
    ]
    rows += [{'name': unit.name} | row for row in outcomes.paired(*sides)]
  return rows


def shown(row):
  """One line for the terminal."""
  error = f'{row["value"]:.4f} +- {row["stderr"]:.4f}'
  return f'{row["name"]:<36} {row["metric"]:<12} {error}, n {row["n"]}'


def run(options):
  """Measures what was not measured; `options` has the flags' names."""
  numbers = [int(x) for x in options['shots']]
  units, left_out = plan.units_of(
    options['tasks'], options['forms'], numbers, options['template']
  )
  print(*left_out, sep='\n', end='\n' * bool(left_out))
  if options['limit'] is not None and options['limit'] < 1:
    raise ValueError(f'wanted --limit of 1 or more, got {options["limit"]}')
  for unit in units:
    data.read(str(options['data']), unit.task)
  os.environ.update(OFFLINE)
  need('lm_eval', 'eval')
  from experiments.harness import measure

  about = {
    'model': options['model'],
    'revision': model_revision(options['model']),
    'tasks': plan.tasks_revision(),
    'harness': measure.version(),
  }
  plan.claim(options['workdir'], about | {'limit': options['limit']})
  model, rows = None, []
  for unit in units:
    found = plan.rows_of_unit(options['workdir'], unit)
    if found is None:
      model = model or open_model(options)
      found = measured(unit, model, options, about)
    print(*map(shown, found), sep='\n', flush=True)
    rows += found
  if not rows:
    raise ValueError('nothing is left to measure: see the lines above')
  write_tables(options, units, rows)


def write_tables(options, units, rows):
  """Writes results.csv, results.json and, with --before, paired.csv."""
  workdir = Path(options['workdir'])
  files.write_csv(workdir / 'results.csv', rows)
  plan.write_whole(workdir / 'results.json', json.dumps(rows, indent=1))
  if options['before']:
    pairs = compared(units, options)
    files.write_csv(workdir / 'paired.csv', pairs)
    for row in pairs:
      print(
        '{name:<36} {metric:<14} {before:.4f} -> {after:.4f}, difference '
        '{difference:+.4f} +- {stderr:.4f}, n {n}'.format(**row)
      )


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('model', None, 'smollm2, or a path; see above.'),
    flags.DEFINE_list('tasks', None, f'Some of {", ".join(plan.all_tasks())}.'),
    flags.DEFINE_list('forms', ['cloze'], 'cloze, letters or both.'),
    flags.DEFINE_list('shots', ['0'], 'Examples before each question.'),
    flags.DEFINE_string(
      'template', 'plain', 'plain, or chat: with its template.'
    ),
    flags.DEFINE_string('data', None, 'Folder of the evaluation sets.'),
    flags.DEFINE_string('workdir', None, 'Where results go, and go on.'),
    flags.DEFINE_integer('limit', None, 'The first so many questions.'),
    flags.DEFINE_string('before', '', 'Workdir of another model, to compare.'),
    flags.DEFINE_string('tokenizer', '', 'tok512.bin, of a llama2.c model.'),
    flags.DEFINE_string('pad_token', None, 'For tokenizers that name none.'),
  ]
  logging.getLogger('lm_eval').setLevel(logging.ERROR)
  cache = os.environ.get('RLHF_JAX_CACHE')
  if cache:
    jax.config.update('jax_compilation_cache_dir', cache)
  required = ('model', 'tasks', 'data', 'workdir')
  command.main_of_flags(run, values, required)


if __name__ == '__main__':
  main()
