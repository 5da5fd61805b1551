r"""Honesty, bias, sentiment and toxicity of a language model.

    python -m experiments.measure_bias --model=smollm2 --data=../shared/data \
        --what=bbq,truthfulqa --workdir=DIR

`--model` is smollm2 (after `make smollm2`), a Hugging Face folder, a .gguf
file, a llama2.c .bin file with `--tokenizer`, or a run directory of train_lm,
train_dpo or train_ppo. Each measure is a folder of --workdir with its items and
rows; one that is finished is not made again, and bias.csv has the rows of all.
With --before=DIR, where another model was measured with the same flags,
paired.csv has the differences. docs/bias.md says what each measures. The data
are for evaluation alone.
"""

import functools
import json
import math
import os
from pathlib import Path

import jax
from absl import flags
from pandas import read_csv

from experiments.shared import bias_scored, bias_written, command
from experiments.shared.answer_scores import answer_scores
from experiments.shared.bias_rows import Options, Tools
from experiments.shared.continuations import continuations
from experiments.shared.files import read_json, write_csv
from experiments.shared.kept import in_parts
from experiments.shared.models import open_writer
from rlhf_jax.analysis.bias_pairs import paired_rows
from rlhf_jax.data import bbq, truthfulqa
from rlhf_jax.data.held_out_rows import require_file
from rlhf_jax.text.word_scores import (
  Negativity,
  SentimentLexicon,
  profanity_list,
)
from rlhf_jax.train import hosts
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run, write_json

MEASURES = {
  'bbq': bias_scored.measure_bbq,
  'truthfulqa': bias_scored.measure_truthfulqa,
  'gender': bias_scored.measure_gender,
  'sentiment': bias_written.measure_sentiment,
  'toxicity': bias_written.measure_toxicity,
}
FILES = {
  'bbq': (bbq.FILE,),
  'truthfulqa': (truthfulqa.FILE,),
  'toxicity': (bias_written.SAFETY, bias_written.RED_TEAM),
}
COLUMNS = (
  *('model', 'template', 'measure', 'statistic', 'rule', 'group'),
  *('value', 'low', 'high', 'n', 'protocol'),
)
PART = 240  # questions or prompts that are kept together
# Settings that a measure depends on, besides model, data, template and limit.
WRITTEN = ('replies', 'max_tokens', 'temperature', 'top_p', 'seed')
DEPENDS = {'sentiment': WRITTEN, 'toxicity': (*WRITTEN, 'words', 'threshold')}
ALWAYS = ('model', 'tokenizer', 'system', 'data', 'template', 'limit')
# Those in which two models that are compared may differ.
OWN = ('model', 'tokenizer', 'system', 'data')


def tools_of(opened, name, options, kept):
  """The Tools of a measure.

  Args:
    opened: Opened.
    name: of MEASURES.
    options: of the flags.
    kept: file of what is done, by which a killed measure goes on.

  Raises:
    ValueError: if it needs a word list that is not installed.
  """

  def score(part, first, label):
    found = answer_scores(opened, part, label=label, batch=options['batch'])
    return [[logp_C.tolist(), tokens_C.tolist()] for logp_C, tokens_C in found]

  parted = lambda work: lambda asked: in_parts(work, asked, kept, PART, name)
  if name not in DEPENDS:
    return Tools(parted(score), None)
  draw = {'max_reply': options['max_tokens']}
  draw |= {key: options[key] for key in ('temperature', 'top_p')}
  told = {key: options[key] for key in ('replies', 'seed')} | {'draw': draw}
  write = lambda part, first, label: continuations(
    opened, part, label=label, first=first, **told
  )
  lexicon = SentimentLexicon()
  harm = ()
  if name == 'toxicity':
    harm = (profanity_list(options['words']), Negativity(lexicon))
  return Tools(None, parted(write), lexicon, harm)


def measure(open_model, name, options, workdir):
  """Rows of a measure, made unless its folder is finished.

  Args:
    open_model: () -> Opened.
    name: of MEASURES.
    options: of the flags.
    workdir: of all measures.
  """
  keys = (*ALWAYS, *DEPENDS.get(name, ()))
  config = {'measure': name} | {key: options[key] for key in keys}
  row = {'role': 'bias', 'seed': options['seed'], 'half': 'all'}
  about = About('measure_bias', 'table', base=options['model'])
  folder = Path(workdir) / name
  with Run(folder, config, row, about=about, apart=True) as run_:
    if not run_.done:
      opened = open_model()
      settings = Options(
        options['data'],
        plain=options['template'] == 'plain',
        limit=options['limit'],
        threshold=options['threshold'],
      )
      kept = run_.path / 'parts.jsonl'
      tools = tools_of(opened, name, options, kept)
      items, rows = MEASURES[name](tools, settings)
      write_csv(run_.path / 'items.csv', items)
      rows = [{'measure': name, **found} for found in rows]
      write_csv(run_.path / 'rows.csv', rows)
      write_json(run_.path / 'rows.json', list(map(without_nan, rows)))
      kept.unlink()  # the items have all of it
      run_.finish(items=len(items))
    return read_json(run_.path / 'rows.json')


def without_nan(row):
  """A row for JSON, where a number that is not finite is null."""
  finite = lambda x: not isinstance(x, float) or math.isfinite(x)
  return {key: x if finite(x) else None for key, x in row.items()}


def shown(row):
  """One line of a row."""
  number = lambda x: '  none' if x is None else f'{x:6.3f}'
  what = ', '.join(
    filter(None, (row['measure'], row['statistic'], row['rule'], row['group']))
  )
  ends = f'[{number(row["low"])}, {number(row["high"])}]'
  return f'{number(row["value"])} {ends} n={row["n"]:<6} {what}'


def check(options):
  """Raises ValueError, saying which flag or file will not do."""
  unknown = sorted(set(options['what']) - set(MEASURES))
  if unknown or not options['what']:
    raise ValueError(
      f'--what={",".join(options["what"])}: wanted some of '
      f'{", ".join(MEASURES)}'
    )
  for name in ('replies', 'max_tokens', 'batch'):
    if options[name] < 1:
      raise ValueError(f'--{name}={options[name]}: wanted 1 or more')
  if options['limit'] < 0:
    raise ValueError(f'--limit={options["limit"]}: wanted 0 (all) or more')
  if options['temperature'] <= 0 or not 0 < options['top_p'] <= 1:
    raise ValueError(
      'wanted --temperature above 0 and --top_p in (0, 1], got '
      f'{options["temperature"]} and {options["top_p"]}'
    )
  for name in options['what']:
    for file in FILES.get(name, ()):
      require_file(Path(options['data']) / file)


def run(options):
  """Measures; `options` has the flags' names.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  check(options)

  @functools.cache
  def open_model():
    return open_writer(
      options['model'],
      tokenizer=options['tokenizer'],
      system=options['system'],
      pad_token=options['pad_token'],
    )

  workdir = Path(options['workdir'])
  for name in MEASURES:
    if name in options['what']:
      rows = measure(open_model, name, options, workdir)
      # Of kinds of questions and prompts the tables have the rows.
      few = [x for x in rows if x['group'] == 'all' or name == 'sentiment']
      print(*map(shown, few), sep='\n', flush=True)
  write_all(workdir)
  if options['before']:
    write_pairs(options['before'], workdir)


def config_of(folder):
  """Settings of a measure that is in its folder."""
  return json.loads((folder / 'config.json').read_text())['config']


def require_same(name, before, workdir):
  """Raises ValueError, naming a setting in which two measurements differ."""
  old, new = (config_of(folder / name) for folder in (before, workdir))
  for key in (*ALWAYS, *DEPENDS.get(name, ())):
    if key not in OWN and old.get(key) != new.get(key):
      raise ValueError(
        f'--before={before}: {name} was measured with {key} {old.get(key)!r} '
        f'there and {new.get(key)!r} in {workdir}: measure both with the same '
        f'--{key}'
      )


@hosts.by_one
def write_all(workdir):
  """Writes bias.csv and bias.json: rows of all measures that are finished."""
  found = []
  for name in MEASURES:
    folder = workdir / name
    if (folder / 'done.json').exists():
      config = config_of(folder)
      model = {'model': config['model'], 'template': config['template']}
      rows = read_json(folder / 'rows.json')
      found += [{key: (model | row)[key] for key in COLUMNS} for row in rows]
  write_csv(workdir / 'bias.csv', found)
  write_json(workdir / 'bias.json', found)


@hosts.by_one
def write_pairs(before, workdir):
  """Writes paired.csv of the measures that are finished in both folders.

  Raises:
    ValueError: if there are none, or they are not of the same items and
      settings.
  """
  before, found = Path(before), []
  for name in MEASURES:
    files = [folder / name / 'items.csv' for folder in (before, workdir)]
    if all((file.parent / 'done.json').exists() for file in files):
      require_same(name, before, workdir)
      tables = [read_csv(file, keep_default_na=False) for file in files]
      found += paired_rows(name, *tables)
  if not found:
    raise ValueError(
      f'--before={before}: wanted the workdir of an earlier measurement, '
      'got none that has a measure in common'
    )
  write_csv(workdir / 'paired.csv', found)


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('model', None, 'smollm2, or a path; see above.'),
    flags.DEFINE_list(
      'what', list(MEASURES), f'Some of {", ".join(MEASURES)}.'
    ),
    flags.DEFINE_string('data', None, 'Folder that holds bbq, truthfulqa, ...'),
    flags.DEFINE_string('workdir', None, 'Directory of the results.'),
    flags.DEFINE_string('before', '', 'Workdir of a model to compare with.'),
    flags.DEFINE_integer('limit', 0, 'Most items of a measure; 0: all.'),
    flags.DEFINE_enum(
      'template', 'dialogue', ['dialogue', 'plain'], 'Form of the prompts.'
    ),
    flags.DEFINE_string('tokenizer', '', 'tok512.bin, of a llama2.c model.'),
    flags.DEFINE_string('system', None, 'System prompt.'),
    flags.DEFINE_string('pad_token', None, 'For tokenizers that name none.'),
    flags.DEFINE_integer('batch', 16, 'Answers that are scored at once.'),
    flags.DEFINE_integer('replies', 25, 'Continuations of a prompt.'),
    flags.DEFINE_integer('max_tokens', 20, 'Most tokens of a continuation.'),
    flags.DEFINE_float('temperature', 1.0, 'Of the sampling.'),
    flags.DEFINE_float('top_p', 0.9, 'Of the sampling; 1: all tokens.'),
    flags.DEFINE_integer('seed', 0, 'Of the sampling.'),
    flags.DEFINE_string('words', '', "Profanity list; none: the package's."),
    flags.DEFINE_float('threshold', 0.5, 'Of a harm score.'),
  ]
  cache = os.environ.get('RLHF_JAX_CACHE')
  if cache:
    jax.config.update('jax_compilation_cache_dir', cache)
  command.main_of_flags(run, values, ('model', 'data', 'workdir'), several=True)


if __name__ == '__main__':
  main()
