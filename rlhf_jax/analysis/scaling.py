"""Accuracy of preference models against data and size.

Source: Bai et al. 2022, section 3.2 and appendix A.3, where helpful-only PMs
follow acc ~ 0.72 + 0.007 ln(P / 1e11) + 0.015 ln(D / 8e4). Every function
takes rows of `pm_curve.csv` of one seed, one train and one eval subset.
"""

import dataclasses
import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import fits


def accuracy_column(curve: pd.DataFrame) -> str:
  """'expected_accuracy' where the label probabilities are known."""
  known = len(curve) and curve['expected_accuracy'].notna().all()
  return 'expected_accuracy' if known else 'accuracy'


def data_fit(curve: pd.DataFrame) -> fits.Fit:
  """Fits accuracy = c + b ln D over the rows of one size."""
  curve = curve[curve['pairs'] > 0]
  return fits.line(np.log(curve['pairs']), curve[accuracy_column(curve)])


def size_fit(curve: pd.DataFrame) -> fits.Fit:
  """Fits accuracy = c + a ln P over the rows of one number of pairs."""
  return fits.line(np.log(curve['n_params']), curve[accuracy_column(curve)])


def size_spearman(curve: pd.DataFrame) -> float:
  """Rank correlation of accuracy and size."""
  return fits.spearman(curve['n_params'], curve[accuracy_column(curve)])


def joint_fit(curve: pd.DataFrame) -> fits.Fit:
  """Fits accuracy = c + a ln P + b ln D over all rows."""
  curve = curve[curve['pairs'] > 0]
  design_NK = np.column_stack(
    [
      np.ones(len(curve)),
      np.log(curve['n_params']),
      np.log(curve['pairs']),
    ]
  )
  return fits.least_squares(design_NK, curve[accuracy_column(curve)])


@dataclasses.dataclass(frozen=True)
class Extrapolation:
  """How far a joint fit of small sizes and few pairs is off beyond them.

  Attributes:
    error: measured less predicted accuracy at the largest size and number of
      pairs; NaN where too little is left to fit.
    rmse: root of the mean squared error over all rows that were held out.
    flat: the same of the guess that accuracy stays at the best one below.
  """

  error: float
  rmse: float
  flat: float


def extrapolate(curve: pd.DataFrame) -> Extrapolation:
  """Fits `joint_fit` without the largest size and number of pairs.

  Held out are all rows of the largest size, and all of the most pairs.
  """
  curve = curve[curve['pairs'] > 0]
  top = curve['n_params'] == curve['n_params'].max()
  most = curve['pairs'] == curve['pairs'].max()
  below, out = curve[~(top | most)], curve[top | most]
  column = accuracy_column(curve)
  sizes, counts = below['n_params'].nunique(), below['pairs'].nunique()
  if min(sizes, counts) < 2 or len(below) < 4:
    return Extrapolation(math.nan, math.nan, math.nan)
  c, a, b = joint_fit(below).coefficient_K
  said = c + a * np.log(out['n_params']) + b * np.log(out['pairs'])
  error = out[column] - said
  flat = out[column] - below[column].max()
  return Extrapolation(
    error=float(error[top & most].mean()),
    rmse=float(np.sqrt((error**2).mean())),
    flat=float(np.sqrt((flat**2).mean())),
  )


def common_pairs(curve: pd.DataFrame) -> float:
  """The largest number of pairs that every size has seen; NaN without one."""
  shared = set.intersection(
    *(set(group['pairs']) for _, group in curve.groupby('size'))
  )
  return max(shared) if shared else math.nan


def mean_over_halves(curve: pd.DataFrame) -> pd.DataFrame:
  """One row a (seed, size, pairs): the halves of one seed are no new unit."""
  keys = ['seed', 'size', 'n_params', 'pairs']
  values = ['accuracy', 'expected_accuracy']
  return curve.groupby(keys, as_index=False)[values].mean()
