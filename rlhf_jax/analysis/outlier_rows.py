"""Rows of the tables of outliers, as the claims and their intervals take them.

Features of the last token of a prompt are judged. Splits share all prompts:
their values are averaged, and so are their standard errors, of which they make
none smaller.
"""

import math

import numpy as np
import pandas as pd
from scipy import special

from rlhf_jax.analysis import ood
from rlhf_jax.analysis.findings import select
from rlhf_jax.analysis.intervals import Interval

POOL, SCORE = 'last', 'simplified'
TIES = 0.1  # of the cells
RUN = ['seed', 'run_id', 'size', 'n_params']


def by_layer(tables, score=SCORE, **where) -> pd.DataFrame:
  """Rows of `ood` of each run and layer, the splits averaged."""
  wanted = {'pool': POOL, 'score': score} | where
  rows = select(tables, 'ood', **wanted)
  keys = [*RUN, 'layers', 'layer']
  return rows.groupby(keys, as_index=False).mean(numeric_only=True)


def shown(tables, **where) -> pd.DataFrame:
  """Rows of `ood_exposure` of each run and number, the splits averaged."""
  rows = select(tables, 'ood_exposure', pool=POOL, **where)
  keys = [*RUN, 'outliers']
  return rows.groupby(keys, as_index=False).mean(numeric_only=True)


def level_of(cells: int) -> float:
  """The level of each cell's interval, that of all of them being 95 %.

    1 - .1 / k,   k one more than the cells that may tie

  Where so many are ties that the claim is just not true, one of these k would
  have to look better by chance, which happens in at most 5 % of studies.
  """
  return 1 - 0.1 / (math.floor(TIES * cells + 1e-9) + 1)


def share_of_cells(cells, n: int) -> Interval:
  """The share of cells that are above 0, between what is sure of it.

  At least those whose interval lies above 0, at most all but those whose
  interval lies below it.

  Args:
    cells: the Interval of each.
    n: units behind each.
  """
  over = lambda test: float(np.mean([test(cell) for cell in cells]))
  return Interval(
    over(lambda cell: cell.mean > 0),
    over(lambda cell: cell.low > 0),
    1 - over(lambda cell: cell.high < 0),
    n,
  )


def over_prompts(row, column, level=0.95) -> Interval:
  """The normal interval of a difference over prompts."""
  half = special.ndtri((1 + level) / 2) * row[f'{column}_se']
  return Interval(row[column], row[column] - half, row[column] + half, 1)


def best_of_layers(rows) -> float:
  """The AUROC at the best layer, which other prompts choose; of one run.

  Each half of the prompts chooses for the other, so that many layers are no
  advantage.
  """
  halves = rows['auroc_first'].to_numpy(), rows['auroc_second'].to_numpy()
  first, second = halves
  return float(second[first.argmax()] + first[second.argmax()]) / 2


def best_in_the_middle(rows) -> float:
  """Whether the best layer of a run is in the middle half.

  NaN where layers of both kinds are level, as where all are at 1.
  """
  best = rows[rows['auroc'] >= rows['auroc'].max() - 1e-12]
  inside = [
    ood.in_middle_half(layer, depth)
    for layer, depth in zip(best['layer'], best['layers'], strict=True)
  ]
  return float(inside[0]) if len(set(inside)) == 1 else math.nan


def per_model(rows, measure) -> pd.DataFrame:
  """A measure of the rows of each model, seeds by parameters."""
  groups = rows.groupby(['seed', 'n_params'])
  return pd.Series({keys: measure(own) for keys, own in groups}).unstack()


def best_distance(tables) -> pd.DataFrame:
  """The AUROC of the best distance of any layer, on all prompts, by run.

  Chosen on the prompts that it is measured on, so if anything too high.
  """
  both = [by_layer(tables, score) for score in ood.RIVALS]
  rows = pd.concat(both)
  return rows.groupby(RUN, as_index=False)['auroc'].max()
