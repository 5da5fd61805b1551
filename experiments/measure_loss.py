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

import hashlib
import math
from pathlib import Path

import jax
from absl import flags

from experiments.harness import reading, texts
from experiments.shared import command, comparisons, imported, score_files
from experiments.shared.files import write_csv
from experiments.shared.kept import claim, in_parts
from experiments.shared.models import open_writer
from rlhf_jax.data import documents
from rlhf_jax.evals.language import ratio_and_error, windows

PART = 64  # documents that are scored before they are kept
ALL = 'all files'
COUNTED = ('nats', 'tokens', 'bytes')


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
  found = documents.read_sides(options['texts'])
  print(f'texts: {documents.said(found.counts)}', flush=True)
  if not found.held:
    raise ValueError(
      f'--texts={",".join(options["texts"])}: none of the documents is held '
      f'out, which is one in {documents.HELD_OUT}: name more text'
    )
  comparisons.write_reading(workdir, {'texts': found.counts})
  return found.held[:limit]


def make_nats(opened):
  """Builds nats(documents, first, label) -> [[nats, tokens]] of each.

  Args:
    opened: `models.Opened`, a language model.
  """
  words, longest = opened.tokenizer, reading.longest_of(opened)
  begin, score = texts.begin_id(words), reading.make_score(opened)

  def nats(part, first, label):
    del first
    asked, owner = [], []
    found = [[0.0, 0] for _ in part]
    for k, document in enumerate(part):
      ids = texts.plain_ids(words, document.text)
      ids = texts.without_begin(words, ids)
      found[k][1] = len(ids)
      more = windows(ids, begin, longest)
      asked += more
      owner += [k] * len(more)
    for k, (logp, _) in zip(owner, score(asked, label), strict=True):
      found[k][0] -= logp
    return found

  return nats


def measured(name, model, held, workdir):
  """Rows of documents.csv of a model; what the workdir has is not remade.

  Raises:
    ValueError: if the workdir is of another model or of other documents.
  """
  digests = ''.join(documents.digest_of(item.text) for item in held)
  key = {'model': model, 'revision': imported.revision(model)}
  key |= {'documents': hashlib.sha256(digests.encode()).hexdigest()[:12]}
  file = workdir / 'nats' / f'{name}.jsonl'
  claim(file.with_suffix('.json'), key, kept=file)
  opened = []

  def work(*part):
    if not opened:
      found = open_writer(model)
      params = jax.device_put(found.params)
      opened.append(make_nats(found._replace(params=params)))
    return opened[0](*part)

  found = in_parts(work, held, file, PART, name)
  return [
    {
      'model': name,
      'file': item.file,
      'number': item.number,
      'bytes': len(item.text.encode()),
      'tokens': tokens,
      'nats': nats,
    }
    for item, (nats, tokens) in zip(held, found, strict=True)
  ]


def by_file(rows):
  """{file: rows of it}, after those of all files."""
  files = sorted({row['file'] for row in rows})
  own = {file: [x for x in rows if x['file'] == file] for file in files}
  return {ALL: rows} | own


def losses_of(name, model, rows):
  """Rows of losses.csv of a model."""
  found = []
  for file, own in by_file(rows).items():
    nats, tokens, size = ([x[k] for x in own] for k in COUNTED)
    a_token, token_error = ratio_and_error(nats, tokens)
    a_byte, byte_error = ratio_and_error(bits(nats), size)
    found.append(
      {
        'model': name,
        'path': model,
        'file': file,
        'documents': len(own),
        'tokens': sum(tokens),
        'bytes': sum(size),
        'nats_per_token': a_token,
        'nats_stderr': token_error,
        'bits_per_byte': a_byte,
        'bits_stderr': byte_error,
      }
    )
  return found


def bits(nats):
  """Nats as bits."""
  return [x / math.log(2) for x in nats]


def paired_of(before, after):
  """Rows of paired.csv: a model less another one on the same documents.

  The difference in nats a token is NaN where they cut some document into other
  numbers of tokens.

  Args:
    before: rows of documents.csv of the one.
    after: those of the other, in the same order.
  """
  found, sides = [], (by_file(before), by_file(after))
  for file, old in sides[0].items():
    new = sides[1][file]
    more = [y['nats'] - x['nats'] for x, y in zip(old, new, strict=True)]
    tokens = [x['tokens'] for x in old]
    a_byte = ratio_and_error(bits(more), [x['bytes'] for x in old])
    a_token = math.nan, math.nan
    if tokens == [x['tokens'] for x in new]:
      a_token = ratio_and_error(more, tokens)
    found.append(
      {
        'before': old[0]['model'],
        'after': new[0]['model'],
        'file': file,
        'documents': len(old),
        'nats_per_token': a_token[0],
        'nats_stderr': a_token[1],
        'bits_per_byte': a_byte[0],
        'bits_stderr': a_byte[1],
      }
    )
  return found


def run(options):
  """Measures, compares and writes; `options` has the flags' names."""
  models, workdir = models_of(options['models']), Path(options['workdir'])
  workdir.mkdir(parents=True, exist_ok=True)
  held = held_out(options, workdir)
  rows, losses = {}, []
  for name, model in models.items():
    rows[name] = measured(name, model, held, workdir)
    losses += losses_of(name, model, rows[name])
    print(line_of(name, losses[-len(by_file(rows[name]))]), flush=True)
  write_csv(workdir / 'documents.csv', sum(rows.values(), []))
  write_csv(workdir / 'losses.csv', losses)
  before, *others = rows.values()
  pairs = [row for after in others for row in paired_of(before, after)]
  (workdir / 'paired.csv').unlink(missing_ok=True)  # of more models, before
  if pairs:
    write_csv(workdir / 'paired.csv', pairs)
  for row in pairs:
    if row['file'] == ALL:
      print(line_of(f'{row["after"]} less {row["before"]}', row))


def line_of(name, row):
  """One printed line of a row of losses.csv or of paired.csv."""
  return (
    '{name}: {nats_per_token:.4f} +- {nats_stderr:.4f} nats a token, '
    '{bits_per_byte:.4f} +- {bits_stderr:.4f} bits a byte, '
    '{documents} documents'
  ).format(name=name, **row)


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
