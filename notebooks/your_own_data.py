# %% [markdown]
# # Your own pairs
#
# From a file of pairs to a first answer to the question that comes before all
# others: is there anything in them that a model could learn? The notebook
# reads the file as `experiments.train_pm` does, shows what was kept and left
# out, asks how far length alone goes, and fits a bag of words,
# cross-validated. That takes seconds and no GPU; it needs no JAX either.
#
# Set `RLHF_JAX_PAIRS` to your file or folder. Without it the notebook writes
# 1,000 pairs of the simulated world and reads those; their outputs are kept
# below. From the root of the repository:
#
#     pip install jupyterlab
#     RLHF_JAX_PAIRS=my_pairs.jsonl jupyter lab notebooks/your_own_data.ipynb
#     .venv/bin/python -m scripts.run_notebooks   # makes the outputs below anew
# %%
import json
import os
import pathlib
import re
import tempfile

import numpy as np
import pandas as pd
from IPython.display import display

from rlhf_jax.analysis import length_rules
from rlhf_jax.crowd import workers, worlds
from rlhf_jax.data import own_pairs
from rlhf_jax.data.jsonl import DataError
from rlhf_jax.linear import folds, logistic
from rlhf_jax.text.dialogue import count_exchanges, split_reply

# %% [markdown]
# ## What a row may look like
#
# JSON lines, one JSON array or Parquet. A row has a prompt and two replies,
# as text, as transcripts or as lists of messages; `docs/own-pairs.md` has all
# forms. The example uses two of them.
# %%
folder = pathlib.Path(tempfile.mkdtemp())


def example_rows(count=1000):
  """Pairs of the simulated world, in two forms by turns."""
  world, rng = worlds.make_world('classic'), np.random.default_rng(0)
  rules = worlds.rules_of(world)
  for i in range(count):
    prompt = rules.sample_prompt(world, rng)
    replies = [
      rules.write_reply(world, rng, prompt, rng.random()) for _ in range(2)
    ]
    pair = workers.compare(world, rng, prompt, *replies)
    row = {'chosen': pair.chosen, 'rejected': pair.rejected}
    if i % 2:
      row = {key: split_reply(text)[1].strip() for key, text in row.items()}
      row['prompt'] = split_reply(pair.chosen)[0]
    yield row | {'kind': pair.kind}


path = os.environ.get('RLHF_JAX_PAIRS')
if path is None:
  path = folder / 'example.jsonl'
  lines = [json.dumps(row) for row in example_rows()]
  path.write_text('\n'.join(lines) + '\n')
  print(lines[0], lines[1], sep='\n\n')
# %% [markdown]
# ## Reading
#
# As `train_pm` reads it: files named `train`, `validation` or `test` stay
# what they are, and of one file a tenth of the conversations is held out.
# Malformed rows would end the reading; with `skip` they are counted by
# reason.
# %%
found = own_pairs.read_own_pairs(path, 'skip', test_fraction=0.1, seed=0)
print(found.said.replace(str(folder), 'FOLDER'))
display(pd.DataFrame(found.counts['files']).T)
# %% [markdown]
# A row that is malformed is named by file and line, and so is what it lacks:
# %%
broken = folder / 'broken.jsonl'
broken.write_text('{"chosen": "\\n\\nHuman: Hi\\n\\nAssistant: Hello."}\n')
try:
  own_pairs.read_own_pairs(broken, 'raise', 0.1, 0)
except DataError as error:
  print(str(error).replace(str(folder), 'FOLDER'))
# %% [markdown]
# ## How long they are
#
# `longer wins` is the accuracy of a rule that knows nothing but length. A
# model that does no better has learned nothing else.
# %%
items = [*found.train, *found.test]
replies = [[split_reply(x)[1] for x in (i.chosen, i.rejected)] for i in items]
frame = pd.DataFrame(
  {
    'subset': [item.kind for item in items],
    'prompt_id': [item.prompt_id for item in items],
    'turn': [count_exchanges(item.chosen) for item in items],
    'words_chosen': [len(chosen.split()) for chosen, _ in replies],
    'words_rejected': [len(rejected.split()) for _, rejected in replies],
    'p_label': float('nan'),  # nobody knows it
  }
)
frame['longer wins'] = length_rules.longer(frame)
by_kind = frame.groupby('subset')
table = by_kind[
  ['words_chosen', 'words_rejected', 'turn', 'longer wins']
].mean()
table.insert(0, 'pairs', by_kind.size())
table.insert(1, 'conversations', by_kind['prompt_id'].nunique())
display(table.round(3))
# %% [markdown]
# ## A first model: which words win
#
# Bradley-Terry on counts of words: P(chosen beats rejected) = sigmoid(w . d),
# with d the difference of the two replies' counts. Five folds that share no
# conversation: every pair is scored by weights that have not seen it.
# %%
words = lambda text: re.findall(r"[a-z']+", text.lower())
seen = pd.Series(
  [w for pair in replies for reply in pair for w in words(reply)]
)
often = seen.value_counts()
vocabulary = sorted(often.index[often >= 5])
column = {w: k for k, w in enumerate(vocabulary)}
count = np.zeros((len(items), 2, len(column)))
for n, pair in enumerate(replies):
  for side, reply in enumerate(pair):
    for w in words(reply):
      if w in column:
        count[n, side, column[w]] += 1
difference = count[:, 0] - count[:, 1]
fold = folds.grouped_folds(frame['prompt_id'], 5, np.random.default_rng(0))
score = np.zeros((len(items), 2))
for k in range(5):
  weight = logistic.fit(difference[fold != k], l2_K=0.01)
  score[fold == k] = count[fold == k] @ weight
frame['score_chosen'], frame['score_rejected'] = score.T
# %% [markdown]
# ## What it knows
#
# Accuracy with 95 % intervals over conversations, beside the better rule on
# length, and `over_rule`, the one less the other. `balanced` weighs pairs
# where the longer and where the shorter reply won alike, so length alone has
# .5.
# %%
rows = {'all': length_rules.row_of(frame)}
for kind, own in frame.groupby('subset'):
  rows[kind] = length_rules.row_of(own)
table = pd.DataFrame(rows).T
ends = lambda name: table[[name, f'{name}_low', f'{name}_high']].apply(
  lambda x: '{:.3f} [{:.3f}, {:.3f}]'.format(*x), axis=1
)
names = ('accuracy', 'rule', 'over_rule', 'balanced')
display(pd.DataFrame({name: ends(name) for name in names}))
# %% [markdown]
# ## Which words they are
#
# The heaviest weights of a fit to all pairs, with the share of replies that
# have the word. Words that should not matter are worth a look: what a bag of
# words finds, a larger model finds too.
# %%
weight = pd.Series(logistic.fit(difference, l2_K=0.01), vocabulary)
share = pd.Series((count > 0).mean(axis=(0, 1)), vocabulary)
# Words of equal weight by the alphabet.
order = weight.round(6).sort_index().sort_values(kind='stable').index
table = pd.DataFrame({'weight': weight, 'share of replies': share})
display(table.loc[[*order[-8:][::-1], *order[:8]]].round(3))
# %% [markdown]
# ## A preference model of them
#
# One command trains adapters on SmolLM2-135M-Instruct, reports accuracy
# beside the same rules, and writes a folder that `transformers` loads
# (`docs/own-pairs.md`). It needs JAX, and some minutes of two CPU cores for a
# few hundred pairs:
#
#     make smollm2
#     .venv/bin/python -m experiments.train_pm --config=configs/pm.py:pairs \
#         --config.data.path=my_pairs.jsonl --workdir=runs/mine
