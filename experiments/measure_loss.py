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
"""

import functools
from pathlib import Path

import jax
from absl import flags

from experiments.harness import losses, reading
from experiments.shared import command, comparisons, imported, score_files
from experiments.shared.files import write_csv
from experiments.shared.models import open_writer


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


def held_out(options, workdir):
  """The documents that models read; what was found is said and written.

  Raises:
    ValueError: if a file is missing or malformed, or nothing is held out.
  """
  limit = options['limit']
  if limit is not None and limit < 1:
    raise ValueError(f'wanted --limit of 1 or more, got {limit}')
  held, counts = losses.held_out(options['texts'], limit)
  comparisons.write_reading(workdir, {'texts': counts})
  return held


def nats_of(model):
  """The function of `losses.make_nats` of a model, which is opened."""
  opened = open_writer(model)
  opened = opened._replace(params=jax.device_put(opened.params))
  longest, score = reading.longest_of(opened), reading.make_score(opened)
  return losses.make_nats(opened.tokenizer, longest, score)


def run(options):
  """Measures, compares and writes; `options` has the flags' names."""
  models, workdir = models_of(options['models']), Path(options['workdir'])
  workdir.mkdir(parents=True, exist_ok=True)
  held = held_out(options, workdir)
  rows, table = {}, []
  for name, model in models.items():
    make = functools.partial(nats_of, model)
    rows[name] = losses.measured(name, model, held, workdir, make)
    own = losses.losses_of(name, model, rows[name])
    print(losses.line_of(name, own[0]), flush=True)
    table += own
  write_csv(workdir / 'documents.csv', sum(rows.values(), []))
  write_csv(workdir / 'losses.csv', table)
  before, *others = rows.values()
  pairs = [row for after in others for row in losses.paired_of(before, after)]
  (workdir / 'paired.csv').unlink(missing_ok=True)  # of more models, before
  if pairs:
    write_csv(workdir / 'paired.csv', pairs)
  for row in pairs:
    if row['file'] == losses.ALL:
      print(losses.line_of(f'{row["after"]} less {row["before"]}', row))


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_list('models', None, 'NAME=MODEL, the first one is before.'),
    flags.DEFINE_list('texts', None, 'Files and folders, as of ptx_text.'),
    flags.DEFINE_integer('limit', None, 'So many documents; all if left out.'),
    flags.DEFINE_string('workdir', None, 'Where results go, and go on.'),
  ]
  required = ('models', 'texts', 'workdir')
  command.main_of_flags(run, values, required)


if __name__ == '__main__':
  main()
