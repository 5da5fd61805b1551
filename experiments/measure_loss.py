r"""Loss of models on held-out text: nats a token, bits a byte.

    python -m experiments.measure_loss --models=plain=smollm2,ppo=runs/ppo \
        --texts=FILE,FOLDER --workdir=DIR

Each of `--models`, NAME=MODEL, is what `experiments.generate` opens, and reads
the documents of `--texts` that are held out: one in ten, which PPO with text
mixed in (`ptx_text`) never reads of the same files (rlhf_jax/data/documents.py,
docs/instructgpt.md). `--limit` takes so many of them, drawn alike for all
models.

Written: losses.csv, a row a model and file, and one of all files, with standard
errors over documents; paired.csv, every model against the first one on the same
documents; documents.csv, a row a document and model; reading.csv, what was
read. Documents are kept as they are scored: a killed run goes on with the next
ones, and a model that is added later is all that is measured then.

In a study it is a stage like others: `run` takes a config with writer_names and
writer_dirs, opens all models in one arithmetic, and writes the tables
text_losses and text_loss_differences (docs/tables.md).
"""

import functools
from pathlib import Path

import jax
from absl import flags

from experiments.harness import listed, losses, reading
from experiments.shared import command, comparisons, imported, score_files
from experiments.shared.files import write_csv
from experiments.shared.models import open_base, open_writer
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run


def models_of(words):
  """{name: model} of `--models`.

  Raises:
    ValueError, OSError: if one is not there, or asks for a system prompt.
  """
  models = score_files.named(words, 'models')
  imported.require(models)
  for name, model in models.items():
    if imported.parts(model)[1]:
      raise ValueError(
        f'--models={name}={model}: wanted a model alone, since plain text is '
        f'read without a prompt: leave {imported.PROMPTED} out'
      )
  return models


def held_out(texts, limit, workdir):
  """The documents that models read; what was found is said and written.

  Raises:
    ValueError: if a file is missing or malformed, or nothing is held out.
  """
  if limit is not None and limit < 1:
    raise ValueError(f'wanted --limit of 1 or more, got {limit}')
  held, counts = losses.held_out(texts, limit)
  comparisons.write_reading(workdir, {'texts': counts})
  return held


def nats_of(opening, model):
  """The function of `losses.make_nats` of a model, which is opened."""
  opened = opening(model)
  opened = opened._replace(params=jax.device_put(opened.params))
  longest, score = reading.longest_of(opened), reading.make_score(opened)
  return losses.make_nats(opened.tokenizer, longest, score)


def measured(models, held, workdir, opening):
  """(rows of documents, of losses, of differences from the first model).

  Args:
    models: {name: model}.
    held: `documents.Document`s.
    workdir: where what is scored is kept.
    opening: model -> `imported.Opened`.
  """
  rows, table = {}, []
  for name, model in models.items():
    make = functools.partial(nats_of, opening, model)
    rows[name] = losses.measured(name, model, held, workdir, make)
    own = losses.losses_of(name, model, rows[name])
    print(losses.line_of(name, own[0]), flush=True)
    table += own
  before, *others = rows.values()
  pairs = [row for after in others for row in losses.paired_of(before, after)]
  for row in pairs:
    if row['file'] == losses.ALL:
      print(losses.line_of(f'{row["after"]} less {row["before"]}', row))
  return sum(rows.values(), []), table, pairs


def compare(options):
  """Measures, compares and writes; `options` has the flags' names."""
  models, workdir = models_of(options['models']), Path(options['workdir'])
  workdir.mkdir(parents=True, exist_ok=True)
  held = held_out(options['texts'], options['limit'], workdir)
  read, table, pairs = measured(models, held, workdir, open_writer)
  write_csv(workdir / 'documents.csv', read)
  write_csv(workdir / 'losses.csv', table)
  (workdir / 'paired.csv').unlink(missing_ok=True)  # of more models, before
  if pairs:
    write_csv(workdir / 'paired.csv', pairs)


def run(config, workdir):
  """The stage of a study; writes text_losses and text_loss_differences.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  named = zip(config['writer_names'], config['writer_dirs'], strict=True)
  models = dict(named)
  if len(models) < 2:
    raise ValueError(f'wanted two models or more, got {list(models)}')
  imported.require(models)
  first = {'base': config['writer_dirs'][0], 'size': ''}
  base = open_base(config | first, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('measure_loss', 'table')
  with Run(workdir, config, row, about=about) as run_:
    if run_.done:
      return
    held = held_out(config['texts'], config['documents'], run_.path)
    opening = lambda path: listed.Model('', path, config, open_base).opened
    _, table, pairs = measured(models, held, run_.path, opening)
    table = [{k: row[k] for k in row if k != 'path'} for row in table]
    write_csv(run_.path / 'text_losses.csv', table)
    write_csv(run_.path / 'text_loss_differences.csv', pairs)
    run_.finish(models=len(models), documents=len(held))


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_list('models', None, 'NAME=MODEL, the first one is before.'),
    flags.DEFINE_list('texts', None, 'Files and folders, as of ptx_text.'),
    flags.DEFINE_integer('limit', None, 'So many documents; all if left out.'),
    flags.DEFINE_string('workdir', None, 'Where results go, and go on.'),
  ]
  required = ('models', 'texts', 'workdir')
  command.main_of_flags(compare, values, required)


if __name__ == '__main__':
  main()
