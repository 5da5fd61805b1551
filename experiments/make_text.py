"""Stage 1: texts for the language models, and the tokenizer trained on them.

python -m experiments.make_text --config=configs/text.py --workdir=DIR
"""

import collections

import numpy as np

from experiments.shared import command, sources
from rlhf_jax.data.jsonl import DataError
from rlhf_jax.text.dialogue import split_reply
from rlhf_jax.text.encode import encode_example, pad_batch
from rlhf_jax.text.pretrained import load_tokenizer as load_any
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.train.run import Run


def load_tokenizer(workdir):
  """The tokenizer of a text stage: ours, or one that came with a model."""
  return load_any(f'{workdir}/tokenizer.model')


def texts_of(config, workdir):
  """(plain texts, dialogues) of the source."""
  data = config['data']
  if data['source'] == 'simulated':
    rng = np.random.default_rng(config['seed'])
    world = sources.world_of(config['world'])
    texts = sources.simulated_texts(
      world, rng, config['dialogues'], config['plain_texts']
    )
    return texts[config['dialogues'] :], texts[: config['dialogues']]
  if data['source'] != 'hh':
    raise DataError(
      f"data.source must be 'simulated' or 'hh', got {data['source']!r}"
    )
  train, _ = sources.real_comparisons(
    data['path'],
    workdir / 'tfds',
    data['on_error'],
    config['test_fraction'],
    data['split_seed'],
  )
  return sources.real_texts(data['path'], train)


def encode(tokenizer, plain, dialogues, max_prompt, max_reply, limit):
  """Rows of at most max_prompt + max_reply tokens: dialogues and text chunks.

  Plain text is cut into full rows, so nothing of it is padded; `limit` caps the
  number of plain rows (0: none).
  """
  width, rows, counts = max_prompt + max_reply, [], collections.Counter()
  for text in dialogues:
    prompt, reply = split_reply(text)
    ids, _, cuts = encode_example(tokenizer, prompt, reply, width, max_reply)
    counts['dialogues'] += 1
    counts['prompts cut'] += cuts.prompt > 0
    counts['replies cut'] += cuts.reply > 0
    rows.append(ids)
  chunks = []
  for text in plain:
    ids = tokenizer.encode(text) + [tokenizer.eos_id]
    chunks += [ids[i : i + width] for i in range(0, len(ids), width)]
  chunks = [chunk for chunk in chunks if len(chunk) > 1]
  if limit and len(chunks) > limit:
    keep = np.random.default_rng(0).permutation(len(chunks))[:limit]
    chunks = [chunks[i] for i in sorted(keep)]
  counts['plain rows'] = len(chunks)
  return rows + chunks, counts


def run(config, workdir):
  """Writes `tokenizer.model` and `rows.npz` (tokens_NT, length_N)."""
  with Run(workdir, config, row={'role': 'text'}) as run_:
    if run_.done:
      return
    plain, dialogues = texts_of(config, run_.path)
    sample = dialogues[: config['tokenizer_texts']]
    sample += [text[:20000] for text in plain[: config['tokenizer_texts']]]
    tokenizer = Tokenizer.train(sample, config['vocab_size'])
    tokenizer.save(run_.path / 'tokenizer.model')
    rows, counts = encode(
      tokenizer,
      plain,
      dialogues,
      config['max_prompt'],
      config['max_reply'],
      config['plain_rows'],
    )
    tokens_NT, length_N = pad_batch(
      rows, config['max_prompt'] + config['max_reply'], tokenizer.pad_id
    )
    np.savez(
      run_.path / 'rows.npz',
      tokens_NT=tokens_NT.astype(np.min_scalar_type(tokenizer.vocab_size)),
      length_N=length_N,
    )
    run_.finish(
      **counts,
      rows=len(rows),
      tokens=int(length_N.sum()),
      vocab_size=tokenizer.vocab_size,
    )


if __name__ == '__main__':
  command.main(run, 'configs/text.py')
