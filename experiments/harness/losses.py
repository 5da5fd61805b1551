"""Loss of a model on held-out documents, and rows of tables of it.

Nats a token and bits a byte are ratios of sums over documents, with errors over
documents; two models are compared on the same ones.
"""

import hashlib
import math

from experiments.harness import texts
from experiments.shared import imported
from experiments.shared.kept import claim, in_parts
from rlhf_jax.data import documents
from rlhf_jax.evals.language import ratio_and_error, windows

PART = 64  # documents that are scored before they are kept
ALL = 'all files'
COUNTED = ('nats', 'tokens', 'bytes')


def held_out(names, limit):
  """(documents that are held out, {file: counts}); says what was read.

  Args:
    names: files and folders of text.
    limit: so many documents, drawn alike whoever reads; None: all.

  Raises:
    ValueError: if a file is missing or malformed, or nothing is held out.
  """
  found = documents.read_sides(names)
  print(f'texts: {documents.said(found.counts)}', flush=True)
  if not found.held:
    raise ValueError(
      f'texts {",".join(names)}: none of the documents is held out, which is '
      f'one in {documents.HELD_OUT}: name more text'
    )
  return found.held[:limit], found.counts


def requests_of(words, document, longest):
  """(requests that score each token of a document once, its tokens).

  Args:
    words: tokenizer.
    document: `documents.Document`.
    longest: tokens that the model holds.
  """
  ids = texts.without_begin(words, texts.plain_ids(words, document.text))
  return windows(ids, texts.begin_id(words), longest), len(ids)


def make_nats(words, longest, score):
  """Builds nats(documents, first, label) -> [[nats, tokens]] of each.

  Args:
    words: tokenizer.
    longest: tokens that the model holds.
    score: of `reading.make_score`.
  """

  def nats(part, first, label):
    del first
    asked, owner = [], []
    found = [[0.0, 0] for _ in part]
    for k, document in enumerate(part):
      more, found[k][1] = requests_of(words, document, longest)
      asked += more
      owner += [k] * len(more)
    for k, (logp, _) in zip(owner, score(asked, label), strict=True):
      found[k][0] -= logp
    return found

  return nats


def measured(name, model, held, workdir, make):
  """Rows of documents.csv of a model; what the workdir has is not remade.

  Args:
    name: of the model.
    model: what it is opened by.
    held: `documents.Document`s.
    workdir: where nats/NAME.jsonl is kept.
    make: () -> the function of `make_nats`, once something is to be read.

  Raises:
    ValueError: if the workdir is of another model or of other documents.
  """
  digests = ''.join(documents.digest_of(item.text) for item in held)
  key = {'model': model, 'revision': imported.revision(model)}
  key |= {'documents': hashlib.sha256(digests.encode()).hexdigest()[:12]}
  file = workdir / 'nats' / f'{name}.jsonl'
  claim(file.with_suffix('.json'), key, kept=file)
  made = []

  def work(*part):
    if not made:
      made.append(make())
    return made[0](*part)

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


def line_of(name, row):
  """One printed line of a row of losses.csv or of paired.csv."""
  return (
    '{name}: {nats_per_token:.4f} +- {nats_stderr:.4f} nats a token, '
    '{bits_per_byte:.4f} +- {bits_stderr:.4f} bits a byte, '
    '{documents} documents'
  ).format(name=name, **row)
