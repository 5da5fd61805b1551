"""Targets of distillation: a prompted teacher on texts, for all students.

    python -m experiments.make_targets --config=configs/targets.py --workdir=DIR

One half of the texts is generic, behind a fresh Human turn; the other is
questions with good answers (Bai et al. 2022, appendix A.1). The teacher is a
language model that reads the HHH prompt of the world before each of them; of
every token after the prompt its 50 largest log-probabilities are kept, and one
bucket for the rest. Beside it stand, of the held-out texts, the divergences of
the teacher from the same model without the prompt, whole and in buckets.
"""

import functools

import numpy as np

from experiments.shared import command, sources
from experiments.shared.devices import jit_named
from experiments.shared.files import write_csv
from experiments.shared.models import open_base
from experiments.shared.pages import hhh_ids, with_prefix
from experiments.shared.targets import KINDS, places, write_targets
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.evals.distillation import divergences
from rlhf_jax.losses import distillation
from rlhf_jax.text.dialogue import HUMAN
from rlhf_jax.text.encode import encode_example, pad_batch
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


def reader(base, prefix, top=0):
  """Jitted (tokens_BT, length_B) -> what a model behind a prefix thinks.

  Args:
    base: opened model.
    prefix: ids that are read before each text.
    top: logits_BTV are wanted (0), or their `distillation.top_buckets`.
  """

  def read(params, tokens_BT, length_B):
    rows = with_prefix(prefix, tokens_BT, length_B)
    logits_BTV = base.functions.logits_fn(params, *rows)[:, len(prefix) :]
    return distillation.top_buckets(logits_BTV, top) if top else logits_BTV

  name = f'teacher_{base.size}' if prefix else f'unprompted_{base.size}'
  return functools.partial(jit_named(read, name), base.params)


def bucket_rows(teacher, plain, rows, top):
  """Rows of buckets.csv: all ids of the vocabulary, and as few as are kept."""
  place = places(rows[1])
  before = place[0], place[1] - 1  # whose logits predict the token
  logits = [np.asarray(fn(*rows))[before] for fn in (teacher, plain)]
  found = []
  for ids in (logits[0].shape[1], top):
    full_N, kept_N = divergences(*(x_NV[:, :ids] for x_NV in logits), top)
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
  """Writes `targets.npz`, `heldout.npz` and `buckets.csv`."""
  named = {'base': config['lm_dir'], 'size': config['lm_size'], 'pad_token': ''}
  base = open_base(config | named)
  row = {'role': 'teacher', 'size': base.size, 'seed': config['seed']}
  row |= {'n_params': base.n_params, 'half': 'all'}
  about = About('make_targets', 'texts', base=config['lm_dir'])
  with Run(workdir, config, row, about=about, apart=True) as run_:
    if run_.done:
      return
    words, world = base.tokenizer, sources.world_of(config['world'])
    prefix = hhh_ids(words, world, config)
    counts = {'prompt_tokens': len(prefix)}
    asked, batch = reader(base, prefix, config['top']), config['eval_batch']
    for name, stream, count in (
      ('targets', 0, config['texts']),
      ('heldout', 1, config['heldout_texts']),
    ):
      rows, kind_N = texts_of(config, words, [config['seed'], stream], count)
      file = run_.path / f'{name}.npz'
      counts[name] = write_targets(
        file, rows, kind_N, asked, batch, words.vocab_size
      )
    few = [x[:batch] for x in rows]  # held out
    both = reader(base, prefix), reader(base, [])
    found = bucket_rows(*both, few, config['top'])
    write_csv(run_.path / 'buckets.csv', found)
    run_.finish(**counts)


if __name__ == '__main__':
  command.main(run, 'configs/targets.py', several=True)
