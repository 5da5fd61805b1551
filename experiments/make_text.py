"""Stage 1: texts for the language models, and the tokenizer trained on them.

python -m experiments.make_text --config=configs/text.py --workdir=DIR
"""

import collections

import numpy as np

from experiments.shared import command, people, sources
from experiments.shared.rows import write_rows
from rlhf_jax.text.dialogue import split_reply
from rlhf_jax.text.encode import encode_example
from rlhf_jax.text.tokenizer import Tokenizer
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run


def texts_of(config, workdir):
  """(plain texts, dialogues, held-out dialogues) of the source.

  No held-out dialogue is a training text: simulated ones that are, which a
  small world writes now and then, are left out.
  """
  data = config['data']
  if data['source'] == 'simulated':
    world, count = sources.world_of(config['world']), config['dialogues']
    write = lambda seed, dialogues, plain: sources.simulated_texts(
      world, np.random.default_rng(seed), dialogues, plain
    )
    texts = write(config['seed'], count, config['plain_texts'])
    new = write([config['seed'], 1], config['heldout_dialogues'], 0)
    known = set(texts)
    held = [text for text in new if text not in known]
    return texts[count:], texts[:count], held
  found = people.read_people(
    data, workdir / 'tfds', config['test_fraction'], counted=False
  )
  held = people.spoken(found.test)[: config['heldout_dialogues'] or None]
  if data['source'] == 'pairs':
    return [], people.spoken(found.train), held
  return *people.real_texts(data['path'], found.train), held


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
  """Writes `tokenizer.model`, and `rows.npz` and `heldout.npz` of texts.

  Both hold tokens_NT and length_N; the language models are trained on the
  first and tested on the second.
  """
  about = About('make_text', 'texts')
  with Run(workdir, config, {'role': 'text'}, about=about) as run_:
    if run_.done:
      return
    plain, dialogues, held = texts_of(config, run_.path)
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
    size = config['max_prompt'], config['max_reply']
    written = write_rows(run_.path / 'rows.npz', rows, tokenizer, sum(size))
    rows_held, _ = encode(tokenizer, [], held, *size, 0)
    write_rows(run_.path / 'heldout.npz', rows_held, tokenizer, sum(size))
    run_.finish(
      **counts,
      rows=len(rows),
      tokens=written,
      heldout_rows=len(rows_held),
      vocab_size=tokenizer.vocab_size,
    )


if __name__ == '__main__':
  command.main(run, 'configs/text.py')
