"""Targets of distillation: a prompted teacher on texts, for all students.

    python -m experiments.make_targets --config=configs/targets.py --workdir=DIR

One half of the texts is generic, behind a fresh Human turn; the other is
questions with good answers (Bai et al. 2022, appendix A.1). The teacher is a
language model that reads the HHH prompt of the world before each of them; of
every token after the prompt its 50 largest log-probabilities are kept, and one
bucket for the rest. A real model has a `base` in place of a world: it reads
real texts (`experiments/shared/real_texts.py`) in its chat template, with our
HHH prompt as the system prompt, and its student has the system prompt of the
template. Beside the targets stand, of held-out texts, the divergences of the
teacher from the same model without the prompt, whole and in buckets.
"""

import functools
from typing import NamedTuple

import numpy as np

from experiments.shared import command, comparisons, real_texts, sources
from experiments.shared.devices import jit_named
from experiments.shared.files import write_csv
from experiments.shared.imported import NO_SYSTEM, with_system
from experiments.shared.models import open_base
from experiments.shared.pages import behind, hhh_ids
from experiments.shared.targets import (
  KINDS,
  write_prefixes,
  write_targets,
)
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.evals.distillation import divergences
from rlhf_jax.losses import distillation
from rlhf_jax.text.dialogue import HUMAN
from rlhf_jax.text.encode import encode_example, pad_batch
from rlhf_jax.text.hhh import HHH_PROMPT
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run


def texts_of(config, tokenizer, seed, count):
  """((tokens_NT, length_N), kind_N): generic texts and questions in turn."""
  world, rng = sources.world_of(config['world']), np.random.default_rng(seed)
  rules, rows = rules_of(world), []
  width = config['max_prompt'] + config['max_reply']
  low = config['good_quality']
  for i in range(count):
    if KINDS[i % 2] == 'generic':
      text = f'{HUMAN} {rules.plain_text(world, rng)}'
      rows.append((tokenizer.encode(text) + [tokenizer.eos_id])[:width])
      continue
    prompt = rules.sample_prompt(world, rng)
    quality = low + (1 - low) * rng.random()
    reply = rules.write_reply(world, rng, prompt, quality)
    room = width, config['max_reply']
    rows.append(encode_example(tokenizer, prompt.text, reply, *room)[0])
  return pad_batch(rows, width, tokenizer.pad_id), np.arange(count) % 2


class Asked(NamedTuple):
  """What a teacher is asked about.

  Attributes:
    texts: {side: `real_texts.Texts`}.
    teacher: ids that the teacher reads before each text.
    student: those that its student reads.
    counts: of what was read; {} of a world.
  """

  texts: dict
  teacher: list
  student: list
  counts: dict


def of_world(config, tokenizer):
  """The Asked of a simulated world."""
  texts = {
    side: real_texts.Texts(
      *texts_of(config, tokenizer, [config['seed'], stream], count)
    )
    for stream, (side, count) in enumerate(real_texts.wanted(config).items())
  }
  world = sources.world_of(config['world'])
  return Asked(texts, hhh_ids(tokenizer, world, config), [], {})


def of_files(config, tokenizer):
  """The Asked of real texts.

  Raises:
    ValueError: if the model has no chat template, or the texts are too few.
    DataError: if a file is malformed.
  """
  if not getattr(tokenizer, 'has_template', False):
    raise ValueError(NO_SYSTEM)
  texts, counts = real_texts.read(config, tokenizer)
  prompted = with_system(tokenizer, HHH_PROMPT)
  return Asked(texts, prompted.opening(), tokenizer.opening(), counts)


def reader(base, prefix, top=0):
  """Jitted (tokens_BT, length_B) -> what a model behind a prefix thinks.

  Args:
    base: opened model.
    prefix: ids that are read before each text.
    top: logits_BTV are wanted (0), or their `distillation.top_buckets`.
  """
  logits_fn = behind(base.functions, tuple(prefix))

  def read(params, tokens_BT, length_B):
    logits_BTV = logits_fn(params, tokens_BT, length_B)
    return distillation.top_buckets(logits_BTV, top) if top else logits_BTV

  name = f'teacher_{base.size}' if top else f'whole_{len(prefix)}_{base.size}'
  return functools.partial(jit_named(read, name), base.params)


def bucket_rows(teacher, plain, rows, top):
  """Rows of buckets.csv: all ids of the vocabulary, and as few as are kept.

  Args:
    teacher: of `reader`, whole logits.
    plain: the same of the model without the prompt.
    rows: (tokens_NT, length_N), one call.
    top: ids that are kept.
  """
  logits = [np.asarray(fn(*rows)) for fn in (teacher, plain)]
  parts = {}
  for n, length in enumerate(rows[1]):
    own = [x_NTV[n, : max(length - 1, 0)] for x_NTV in logits]
    for ids in (own[0].shape[1], top):
      pair = divergences(*(x_TV[:, :ids] for x_TV in own), top)
      parts.setdefault(ids, []).append(pair)
  found = []
  for ids, pairs in parts.items():
    full_N, kept_N = map(np.concatenate, zip(*pairs, strict=True))
    found.append(
      {
        'ids': ids,
        'top': top,
        'tokens': len(full_N),
        'full': float(full_N.mean()),
        'bucketed': float(kept_N.mean()),
        'largest_excess': float((kept_N - full_N).max()),
        'smallest_excess': float((kept_N - full_N).min()),
      }
    )
  return found


def run(config, workdir):
  """Writes `targets.npz`, `heldout.npz`, `prefixes.json` and `buckets.csv`."""
  named, real = {'size': ''}, 'base' in config
  if real:
    real_texts.require(config)
  else:
    named = {'base': config['lm_dir'], 'size': config['lm_size']}
    named |= {'pad_token': ''}
  base = open_base(config | named)
  row = {'role': 'teacher', 'size': base.size, 'seed': config['seed']}
  row |= {'n_params': base.n_params, 'half': 'all'}
  about = About('make_targets', 'texts', base=(config | named)['base'])
  with Run(workdir, config, row, about=about, apart=True) as run_:
    if run_.done:
      return
    asked = (of_files if real else of_world)(config, base.tokenizer)
    comparisons.write_reading(run_.path, asked.counts)
    write_prefixes(run_.path, asked.teacher, asked.student)
    counts = {'prompt_tokens': len(asked.teacher)}
    top, batch = config['top'], config['eval_batch']
    read, vocab = reader(base, asked.teacher, top), base.tokenizer.vocab_size
    for side, (rows, kind_N) in asked.texts.items():
      file = run_.path / f'{side}.npz'
      counts[side] = write_targets(file, rows, kind_N, read, batch, vocab)
    few = [x[:batch] for x in asked.texts['heldout'].rows]
    both = [reader(base, ids) for ids in (asked.teacher, asked.student)]
    write_csv(run_.path / 'buckets.csv', bucket_rows(*both, few, top))
    run_.finish(**counts)


if __name__ == '__main__':
  command.main(run, 'configs/targets.py', several=True)
