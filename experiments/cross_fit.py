"""Linear preference models over a frozen base, each pair scored by others.

    python -m experiments.cross_fit --config=configs/cross_fit.py --workdir=DIR

The base reads every pair once. Its pooled features are cut into folds of
conversations, several draws of them; on each fold are scored the heads that
were fitted on the others: of helpful pairs, of harmless ones, of both, and of
both with a condition on the prompt; on all pairs there and on fewer; and, for
`models` such as '25/75', of so many helpful to harmless pairs. Blocks and
penalty of a head are chosen inside its training pairs (`rlhf_jax/linear/`).
Draws share all pairs: scores are averaged over them, and what they differ in is
no interval. A fold that is done is not done again.
"""

import numpy as np
import pandas as pd

from experiments.shared import command, comparisons, fold_parts, heads, pooling
from experiments.shared.files import write_csv
from experiments.shared.models import open_base
from experiments.shared.trained import pooled_layers
from rlhf_jax.analysis import length_rules, shares
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.mixtures import share_of
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run

# What others report, (helpful, harmless); docs/real-pairs.md has the sources.
ANCHORS = {
  'GPT-2-large (774M), all of the training split': ('.726', '.737'),
  'DeBERTa-v3-large (435M), other data': ('.695', '.591'),
  "Bai et al.'s fit at 135M and 1,000 to 4,000 pairs": ('.61 to .63', '-'),
}
COLUMNS = ('pair_id', 'chosen', 'rejected', 'asked', 'trained_on')


def fold_tables(config, data, draw, fold):
  """(scores of pairs, fits) of one fold as frames.

  Args:
    config: of the stage; `head.layers` are those that are stored.
    data: heads.Data.
    draw: number of the draw of folds.
    fold: which is held out.
  """
  scores, fits = [], []
  for name, asked, found in heads.crossed(config, data, draw, fold):
    columns = (found.rows, found.chosen_N, found.rejected_N, asked, found.pairs)
    part = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    scores.append(part.assign(model=name))
    said = heads.choice_row(found.choice, config['head']['layers'])
    fits.append(
      {
        'model': name,
        'pairs': found.pairs,
        'draw': draw,
        'fold': fold,
        'gate_accuracy': np.nan,
        **said,
        'accuracy': float(np.mean(agrees(found.chosen_N, found.rejected_N))),
      }
    )
  return pd.concat(scores), pd.DataFrame(fits)


def fold_part(folder, config, data, number):
  """`fold_tables` of one fold of one draw, from its files or into them."""
  draw, fold = divmod(number, config['folds'])
  make = lambda: fold_tables(config, data, draw, fold)
  return fold_parts.kept(folder, number, ('scores', 'fits'), make)


def agrees(chosen_N, rejected_N):
  """Whether the preferred reply scores higher; a tie is a half."""
  return 0.5 + 0.5 * np.sign(chosen_N - rejected_N)


def pair_rows(scores, pairs):
  """Rows of cross_pairs: the mean scores over draws, a row a model and pair.

  Args:
    scores: frames of `fold_tables`, of all draws and folds.
    pairs: PairArrays, which `pair_id` numbers.
  """
  right_N = agrees(scores['chosen'], scores['rejected'])
  keys = ['model', 'asked', 'pair_id']
  mean = scores.assign(right=right_N).groupby(keys, as_index=False).mean()
  on = mean.groupby(['model', 'asked'])['trained_on'].transform('mean')
  i = mean['pair_id'].to_numpy()
  table = pd.DataFrame(
    {
      'model': mean['model'],
      'pairs': np.where(mean['asked'] > 0, mean['asked'], on.round()).astype(
        int
      ),
      'pair_id': i,
      'prompt_id': pairs.prompt_index_N[i],
      'subset': np.where(pairs.kind_N[i] == 0, 'helpful', 'harmless'),
      'turn': pairs.turn_N[i],
      'score_chosen': mean['chosen'].round(4),
      'score_rejected': mean['rejected'].round(4),
      'right': mean['right'].round(4),
      'words_chosen': pairs.words_chosen_N[i],
      'words_rejected': pairs.words_rejected_N[i],
    }
  )
  mixed = sorted(set(table['model']) - set(heads.MODELS), key=share_of)
  place = {name: i for i, name in enumerate([*heads.MODELS, *mixed])}
  by = lambda column: column.map(place) if column.name == 'model' else column
  return table.sort_values(['model', 'pairs', 'pair_id'], key=by)


def write_shares(path, table):
  """Writes the rows of cross_shares where one number of pairs was shared.

  Args:
    path: of the file.
    table: of `pair_rows`.
  """
  try:
    write_csv(path, shares.rows(table))
  except NotRunError:
    return  # no shares, or a scan of numbers of pairs: cross_floors has those


def lines_of(floors):
  """Yields what is printed: heads beside length rules, and what others report.

  Args:
    floors: rows of cross_floors.
  """
  yield 'accuracy on pairs of other conversations; 95 % intervals over them'
  for row in floors:
    cells = [
      f'{name} {row[name]:.3f} [{row[f"{name}_low"]:.3f}, '
      f'{row[f"{name}_high"]:.3f}]'
      for name in ('accuracy', 'rule', 'over_rule', 'matched', 'balanced')
    ]
    yield f'{row["model"]:>11} on {row["subset"]:<8} {"  ".join(cells)}'
  for name, (helpful, harmless) in ANCHORS.items():
    yield f'reported elsewhere: {name}: helpful {helpful}, harmless {harmless}'


def run(config, workdir):
  """Fits; writes cross_pairs and cross_fits, a part a fold on the way."""
  comparisons.require_data(config)
  base = open_base(config, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('cross_fit', 'table', base=config['base'])
  with Run(workdir, config, row, about=about) as run_:
    if run_.done:
      return
    base = open_base(config)
    found = comparisons.read_pairs(config, base)
    comparisons.write_reading(run_.path, found.counts)
    pairs = heads.both_sides(found)
    pooled = pooling.pooled_pairs(config, base, pairs)
    layers = pooled_layers(config['head']['layers'], base.functions)
    config = config | {'head': config['head'] | {'layers': layers}}
    data = heads.Data(pooled, pairs.kind_N, pairs.prompt_index_N)
    scores, fits = [], []
    for i in run_.progress(0, config['draws'] * config['folds']):
      part = fold_part(run_.path / 'parts', config, data, i)
      scores.append(part[0])
      fits.append(part[1])
    table = pair_rows(pd.concat(scores), pairs)
    fold_parts.write_packed(run_.path / 'cross_pairs.csv.gz', table)
    write_csv(run_.path / 'cross_fits.csv', pd.concat(fits).to_dict('records'))
    floors = length_rules.rows(table)
    write_csv(run_.path / 'cross_floors.csv', floors)
    write_shares(run_.path / 'cross_shares.csv', table)
    for line in lines_of(floors):
      print(line)
    run_.finish(pairs=len(pairs.kind_N), fits=sum(map(len, fits)))


if __name__ == '__main__':
  command.main(run, 'configs/cross_fit.py', report=True)
