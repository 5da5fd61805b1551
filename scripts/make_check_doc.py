"""Writes docs/check.md: the checks, and the defect that each is tested with.

python -m scripts.make_check_doc
"""

import pathlib
import sys

from rlhf_jax.check import forward, runner, subject

OUT = pathlib.Path(__file__).resolve().parents[1] / 'docs' / 'check.md'
HEADER = """\
# Check your own model and data first

Most programs of RLHF that are wrong run without an error. Before a long run,
this looks for the usual defects in a model, a tokenizer, data and settings; it
takes a minute, and trains nothing. Written by `python -m
scripts.make_check_doc`.

## A folder of transformers

    .venv/bin/python -m rlhf_jax.check --model=FOLDER --reward=PM_FOLDER \\
        --data=my_pairs.jsonl --prompts=my_prompts.jsonl \\
        --evaluation=held_out.jsonl

`--model` is a language model, a folder with safetensors or a `.gguf` file;
`--reward` a preference model of its tokenizer, with one label; `--data` pairs
in any form of [your own pairs](own-pairs.md). All but the model and the pairs
may be left out: what cannot be checked without them is said to be not run. A
run of ours becomes such a folder by `experiments.export`. Settings are
`--temperature`, `--max_prompt`, `--max_reply`.

A line a check: verdict, number in the [checklist](checklist.md), name, the
value that decided, and of a failure what to do. `--json` prints rows,
`--json=FILE` writes them. The exit code is 0, 1 if a check failed, 2 if
something could not be read.

## A model of your own

Any functions of the shapes of [a step](steps.md) will do, their parameters
bound. Here is one that reads its score in the last column, pads or not:

```python
import jax, jax.numpy as jnp
from rlhf_jax import check
from rlhf_jax.types import PairBatch


class Words:  # the ids that a check asks a tokenizer for
  eos_id, pad_id = 1, 0


embed = jax.random.normal(jax.random.key(0), (8, 4))
hidden = lambda tokens_BT: jnp.tanh(jnp.cumsum(embed[tokens_BT], 1))
logits_fn = lambda tokens_BT, length_B: hidden(tokens_BT) @ embed.T
score_fn = lambda tokens_BT, length_B: hidden(tokens_BT)[:, -1, 0]
good = jnp.array([[2, 3, 4, 1], [2, 5, 1, 0]])
bad = jnp.array([[2, 6, 1, 0], [2, 7, 1, 0]])
pairs = PairBatch(good, jnp.array([4, 3]), bad, jnp.array([3, 3]))
for finding in check.run(logits_fn, score_fn, Words(), pairs, {}):
  if finding.ok is False:
    print(finding.name, '-', finding.message)
```

`check.run(logits_fn, score_fn, tokenizer, batches, config)` returns a list of
`Finding(item, name, ok, value, message)`; `ok` is None where a check was not
run. `batches` are training pairs, or a dict with `train`, `test` (pairs),
`prompts`, `texts` and `evaluation` (rows of tokens, or texts). `config` is any
mapping, such as a stage's: read are {settings}. Your own `prefill_fn` and
`decode_fn`, your sampler (`sample_fn`), your scoring of replies (`logps_fn`)
and that of the reference (`ref_logps_fn`) go by name. From the command line,
`--functions=MODULE:FUNCTION` names a function that returns these arguments as a
dict.

Numbers that are computed in float32 may differ by {exact:g} of their standard
deviation, in lower precision (`dtype` of the config) by {rounded:g}.

## What is checked

The last column is what the tests plant; each is found by the name of its check.

| item | check | holds if | planted |
|---|---|---|---|
"""
FOOTER = """
What a check cannot see: a defect that no row of yours shows. A sampler is asked
for replies of at most {reply} tokens to {rows} prompts, and models read as many
rows.
"""


def generate() -> str:
  """The text of docs/check.md."""
  names = ', '.join(f'`{name}`' for name in subject.Settings._fields)
  text = HEADER.replace('{settings}', names)
  text = text.replace('{exact:g}', f'{forward.EXACT:g}')
  text = text.replace('{rounded:g}', f'{forward.ROUNDED:g}')
  for check in runner.CHECKS:
    item = str(check.item) if check.item else '–'
    holds = runner.says(check).removesuffix('.')
    text += f'| {item} | `{check.name}` | {holds} | {check.defect} |\n'
  return text + FOOTER.format(reply=subject.MOST_REPLY, rows=subject.MOST_ROWS)


if __name__ == '__main__':
  OUT.write_text(generate())
  print(OUT, file=sys.stderr)
