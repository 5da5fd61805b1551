"""Heads on real pairs, with and without pretraining on public rankings.

    python -m experiments.pretrain_heads --config=configs/pretrain_heads.py \
        --workdir=DIR

A frozen base reads the pairs of `data` and the public rankings of `sets` once.
A head is fitted to the pairs of the rankings, of each set and of all together:
that is the pretraining. Finetuning on few real pairs is the fit of `cross_fit`,
its penalty pulling the weights to the pretrained head and not to 0:

    min_w  mean log(1 + exp(-w . d)) + l2 / 2 |w - w0|^2,    w0 = 0 without

Its strength l2 and the blocks are chosen inside the finetuning pairs, for both
alike, from one grid; with and without see the same pairs. Each pair is scored
by heads of other conversations. A fold that is done is not done again.

Askell et al. 2021, section 4, pretrain the whole model; here it stays frozen.
"""

import numpy as np
import pandas as pd

from experiments.shared import (
  command,
  comparisons,
  fold_parts,
  heads,
  pooling,
  ranked_sets,
)
from experiments.shared.files import write_csv
from experiments.shared.models import open_base
from experiments.shared.sources import SUBSETS
from experiments.shared.trained import pooled_layers
from rlhf_jax.analysis import pretrained
from rlhf_jax.data.rankings import pairs_of
from rlhf_jax.linear import head
from rlhf_jax.linear.folds import grouped_folds
from rlhf_jax.train.about import About
from rlhf_jax.train.progress import Progress
from rlhf_jax.train.run import Run

ALL = 'all'


def together(parts):
  """heads.Data of several, whose prompts are others."""
  after, columns = 0, []
  for part in parts:
    columns.append(part._replace(group_N=part.group_N + after))
    after += int(part.group_N.max()) + 1
  return heads.Data(*map(np.concatenate, zip(*columns, strict=True)))


def settings_of(config, data):
  """head.Settings of a config, without a condition."""
  return heads.settings_of(config['head'], data.pooled_N3PLD.shape[3], False)


def held_accuracy(config, data, choice):
  """Mean accuracy over folds of prompts of a head as `choice` has it."""
  only = settings_of(config, data)._replace(
    candidates=(choice.blocks,), l2s=(choice.l2,)
  )
  seed = [config['seed'], *b'held']
  fold_N = grouped_folds(
    data.group_N, config['folds'], np.random.default_rng(seed)
  )
  right = []
  for fold in range(config['folds']):
    train, held = (np.flatnonzero(x) for x in (fold_N != fold, fold_N == fold))
    scored = heads.scored(data, train, held, only, seed)
    right.append(np.mean(scored.chosen_N > scored.rejected_N))
  return float(np.mean(right))


def read_sets(config, base):
  """({set: (number of rankings, heads.Data)}, {set: counts}) of `sets`."""
  found, counts = {}, {}
  for name in config['sets']:
    rankings, counts[name] = ranked_sets.read_set(config, name, base.tokenizer)
    features = pooling.pooled_replies(config, base, rankings)
    place_M3 = pairs_of(rankings).place_M3
    own = heads.ranked_data(rankings, *features, place_M3)
    found[name] = len(rankings.kind_N), own
  return found, counts


def pretrained_heads(config, forum):
  """({before: {blocks: Head}}, {before: best blocks}, rows of the heads).

  Args:
    config: of the stage; `head.layers` are those that are stored.
    forum: of `read_sets`.
  """
  if len(forum) > 1:
    counts, parts = zip(*forum.values(), strict=True)
    forum = forum | {ALL: (sum(counts), together(parts))}
  centres, best, rows, names = {}, {}, [], list(forum)
  for i in Progress(0, len(names), 'pretrained heads'):
    name, (count, data) = names[i], forum[names[i]]
    seed = [config['seed'], *name.encode()]
    found = head.fit_each(*data, settings_of(config, data), seed)
    centres[name] = {blocks: own for blocks, (own, _) in found.items()}
    choice = min((x for _, x in found.values()), key=lambda x: x.loss)
    best[name] = choice.blocks
    row = {'before': name, 'rankings': count, 'pairs': len(data.kind_N)}
    row |= heads.choice_row(choice, config['head']['layers'])
    rows.append(row | {'accuracy': held_accuracy(config, data, choice)})
  return centres, best, rows


def fold_tables(config, data, made, draw, fold):
  """(right of pairs, fits) of one fold as frames.

  Args:
    config: of the stage; `head.layers` are those that are stored.
    data: heads.Data of the real pairs.
    made: (centres, best blocks) of `pretrained_heads`.
    draw: number of the draw of folds.
    fold: which is held out.
  """
  centres, best = made
  outside_N = heads.fold_of(config, data, draw) != fold
  settings, scores, fits = settings_of(config, data), [], []

  def note(scored, **cell):
    right_N = np.asarray(scored.chosen_N > scored.rejected_N, float)
    ties_N = scored.chosen_N == scored.rejected_N
    right_N = np.where(ties_N, 0.5, right_N)
    frame = pd.DataFrame({'pair_id': scored.rows, 'right': right_N})
    scores.append(frame.assign(**cell))
    return float(right_N.mean())

  for model in config['models']:
    own_N = np.isin(data.kind_N, SUBSETS[model])
    held = np.flatnonzero(~outside_N & own_N)
    for before, blocks in best.items():
      sides = heads.sides(centres[before][blocks], data.pooled_N3PLD[held])
      start = heads.Scored(held, *sides, 0, None)
      note(start, model=model, before=before, pairs=0)
    for count in config['pairs']:
      seed = [config['seed'], draw, fold, *model.encode()]
      rng = np.random.default_rng(seed)
      rows = heads.rows_of(data, model, outside_N, count, rng)
      if not len(rows):
        continue
      for before in (pretrained.NONE, *centres):
        about = centres.get(before)
        scored = heads.scored(data, rows, held, settings, seed, about)
        cell = {'model': model, 'before': before, 'pairs': count}
        said = heads.choice_row(scored.choice, config['head']['layers'])
        right = note(scored, **cell)
        where = {'draw': draw, 'fold': fold}
        fits.append(cell | where | said | {'accuracy': right})
  return pd.concat(scores), pd.DataFrame(fits)


def crossed(config, data, made, run_):
  """(right of pairs, fits) of all folds, each kept as it is done.

  Args:
    config: as of `fold_tables`, and so are the next two.
    data: as there.
    made: as there.
    run_: Run, which shows how far it is.
  """
  parts = []
  for i in run_.progress(0, config['draws'] * config['folds']):
    cell = divmod(i, config['folds'])
    make = lambda cell=cell: fold_tables(config, data, made, *cell)
    folder, names = run_.path / 'parts', ('scores', 'fits')
    parts.append(fold_parts.kept(folder, i, names, make))
  return tuple(map(pd.concat, zip(*parts, strict=True)))


def pair_rows(scores, pairs):
  """Rows of pretrained_pairs: the mean over draws.

  Args:
    scores: frames of `fold_tables`, of all draws and folds.
    pairs: PairArrays, which `pair_id` numbers.
  """
  keys = ['model', 'before', 'pairs', 'pair_id']
  mean = scores.groupby(keys, as_index=False, sort=False)['right'].mean()
  i = mean['pair_id'].to_numpy()
  return mean.assign(
    prompt_id=pairs.prompt_index_N[i],
    subset=np.where(pairs.kind_N[i] == 0, 'helpful', 'harmless'),
    right=mean['right'].round(4),
  )


def lines_of(gains):
  """Yields what is printed, a line a model, pretraining and number of pairs."""
  yield 'accuracy on pairs of other conversations; 95 % intervals over them'
  for row in gains:
    cells = [
      f'{name} {row[name]:+.3f} [{row[f"{name}_low"]:+.3f}, '
      f'{row[f"{name}_high"]:+.3f}]'
      for name in ('accuracy', 'gain')
    ]
    place = f'{row["model"]:>8} {row["pairs"]:5d} after {row["before"]:<13}'
    yield f'{place} {"  ".join(cells)}'


def run(config, workdir):
  """Pretrains, finetunes and scores; a part a fold on the way."""
  comparisons.require_data(config)
  ranked_sets.require(config)
  base = open_base(config, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('pretrain_heads', 'table', base=config['base'])
  with Run(workdir, config, row, about=about) as run_:
    if run_.done:
      return
    base = open_base(config)
    found = comparisons.read_pairs(config, base)
    forum, counts = read_sets(config, base)
    comparisons.write_reading(run_.path, found.counts | {'sets': counts})
    pairs = heads.both_sides(found)
    pooled = pooling.pooled_pairs(config, base, pairs)
    layers = pooled_layers(config['head']['layers'], base.functions)
    config = config | {'head': config['head'] | {'layers': layers}}
    *made, rows = pretrained_heads(config, forum)
    write_csv(run_.path / 'pretraining_heads.csv', rows)
    del forum  # some hundred megabytes
    data = heads.Data(pooled, pairs.kind_N, pairs.prompt_index_N)
    scores, fits = crossed(config, data, made, run_)
    table = pair_rows(scores, pairs)
    fold_parts.write_packed(run_.path / 'pretrained_pairs.csv.gz', table)
    write_csv(run_.path / 'pretrained_fits.csv', fits.to_dict('records'))
    gains = pretrained.rows(table)
    write_csv(run_.path / 'pretraining_gains.csv', gains)
    for line in lines_of(gains):
      print(line)
    run_.finish(pairs=len(pairs.kind_N), fits=len(fits))


if __name__ == '__main__':
  command.main(run, 'configs/pretrain_heads.py', report=True)
