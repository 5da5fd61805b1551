"""Preference models of mixed pairs: share of helpful ones, and loss weights.

Source: Bai et al. 2022, section 5.1, Figs. 19, 26 and 27.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rlhf_jax.analysis import fits, scaling
from rlhf_jax.analysis.findings import keep, last, select

KINDS = ['helpful', 'harmless']
SHARE_OF_BEST = 0.95  # of a specialist's accuracy, that a mixture wants


def share_of(subset: str) -> float:
  """Share of helpful pairs that a train_subset asks for: '30/70' -> .3."""
  helpful, harmless = subset.partition('*')[0].split('/')
  return float(helpful) / (float(helpful) + float(harmless))


def weight_of(subset: str) -> float:
  """Weight of a harmless pair in the loss: '67/33*4' -> 4; 1 without one."""
  return float(subset.partition('*')[2] or 1)


def final_accuracy(tables, role, value_of, name) -> pd.DataFrame:
  """Accuracy of the finished PMs of a role on both kinds of pairs.

  Args:
    tables: of which `pm_curve` is read.
    role: 'mixed' or 'weighted'.
    value_of: train_subset -> what varies.
    name: of its column.

  Returns:
    Rows of seed, size, n_params, `name`; helpful and harmless, the accuracies
    (expected ones where labels have known probabilities), and mean, that of
    both kinds alike.
  """
  curve = last(select(tables, 'pm_curve', role=role), 'pairs')
  curve = keep(curve, 'pm_curve.csv', eval_subset=KINDS)
  curve = curve.assign(**{name: curve['train_subset'].map(value_of)})
  table = curve.pivot_table(
    index=['seed', 'size', 'n_params', name],
    columns='eval_subset',
    values=scaling.accuracy_column(curve),
  )[KINDS].reset_index()
  table.columns.name = None
  return table.assign(mean=table[KINDS].mean(axis=1, skipna=False))


def normalised_area(share_N, accuracy_N) -> float:
  """Area under a curve of shares from 0 to 1, over its own maximum.

    int_0^1 y(s) / max y ds,   by trapezoids; 1 of a flat curve

  NaN where the shares do not reach from 0 to 1.
  """
  order = np.argsort(share_N)
  s_N = np.asarray(share_N, float)[order]
  y_N = np.asarray(accuracy_N, float)[order]
  if len(s_N) < 3 or abs(s_N[0]) > 1e-9 or abs(s_N[-1] - 1) > 1e-9:
    return math.nan
  return float(np.trapezoid(y_N, s_N) / y_N.max())


def slope_on_size(rows: pd.DataFrame, column: str) -> float:
  """The slope of a column on ln P over the sizes of one seed."""
  if rows['n_params'].nunique() < 3 or rows[column].isna().any():
    return math.nan
  return float(
    fits.line(np.log(rows['n_params']), rows[column]).coefficient_K[1]
  )


def chosen_by_others(table_SN: np.ndarray) -> list[int]:
  """The column that is best on average of the other seeds, for each seed.

  So nothing is chosen by the noise that it is then measured with.

  Args:
    table_SN: rows are seeds, columns what is to be chosen from.
  """
  total_N = table_SN.sum(0)
  return [int(np.argmax(total_N - row_N)) for row_N in table_SN]


def common(rows: pd.DataFrame, name: str) -> Sequence[float]:
  """Values of a column that every seed has, in order."""
  counts = rows.groupby(name)['seed'].nunique()
  return sorted(counts.index[counts == rows['seed'].nunique()])
