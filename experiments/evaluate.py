r"""Benchmarks of the lm-evaluation-harness on a model, from local files.

    python -m experiments.evaluate --model=smollm2 --tasks=piqa,hellaswag \
        --shots=0,5 --data=DIR --workdir=runs/evals/smollm2

`--model` is what `experiments.generate` takes, and with +hhh behind it the
same model with the HHH prompt before everything that it reads. `--data` is the
folder that holds piqa/, hellaswag/ and so on; nothing is fetched.
`--forms=cloze,letters`: the choices' texts are scored, or their letters. A task
that was measured into the workdir before is not measured again.
`--before=WORKDIR` compares with another model's results, item by item.

Written: results.csv and results.json (a row for each metric), items/ (the
outcome of every question), and paired.csv with --before. Needs the extra eval.
"""

import json
import os
from pathlib import Path

import jax
from absl import flags

from experiments.harness import outcomes, plan, reading, session
from experiments.shared import command, files
from experiments.shared.kept import write_whole
from experiments.shared.models import open_writer


def tools():
  """The Tools of a session; needs the harness."""
  from experiments.harness import adapter, measure

  return session.Tools(open_writer, adapter.HarnessLM, reading, measure)


def compared(units, options):
  """Rows of paired.csv: each unit against the same of --before."""
  rows = []
  for unit in units:
    sides = session.sides_of(options['before'], options['workdir'], unit)
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
  session.require(units, options['data'])
  show = lambda found: print(*map(shown, found), sep='\n', flush=True)
  rows = session.rows_of(units, options, tools(), show)
  if not rows:
    raise ValueError('nothing is left to measure: see the lines above')
  write_tables(options, units, rows)


def write_tables(options, units, rows):
  """Writes results.csv, results.json and, with --before, paired.csv."""
  workdir = Path(options['workdir'])
  files.write_csv(workdir / 'results.csv', rows)
  write_whole(workdir / 'results.json', json.dumps(rows, indent=1))
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
  cache = os.environ.get('RLHF_JAX_CACHE')
  if cache:
    jax.config.update('jax_compilation_cache_dir', cache)
  required = ('model', 'tasks', 'data', 'workdir')
  command.main_of_flags(run, values, required, several=True, apart='workdir')


if __name__ == '__main__':
  main()
