"""What compute buys: accuracy and gold against FLOPs of training.

FLOPs of a run stand in the table `compute`; along a run they are proportional
to what it has seen. Whether to spend them on size or on data is asked at equal
FLOPs (Hoffmann et al. 2022 ask it of language models).
"""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import scaling

LEVELS = 9  # of FLOPs at which sizes are compared, from the least to the most


def spent(frame: pd.DataFrame, compute: pd.DataFrame, seen) -> pd.DataFrame:
  """The rows with a column `flops`, spent so far; those without are dropped.

  Args:
    frame: rows along runs, such as pm_curve.
    compute: the table.
    seen: column that grows along a run, such as 'pairs'.
  """
  total = compute.set_index('run_id')['flops']
  frame = frame[frame['run_id'].isin(total.index)]
  share = frame[seen] / frame.groupby('run_id')[seen].transform('max')
  total_N = frame['run_id'].map(total).astype(float)  # text if there are none
  return frame.assign(flops=share * total_N)


def iso_flop(curve: pd.DataFrame) -> pd.DataFrame:
  """The best size at each level of FLOPs: flops, size, accuracy, sizes, rank.

  Accuracy of a size is the mean over seeds, on straight lines in ln FLOPs
  between its points; a level counts where two sizes or more have points on both
  sides. `rank` is the best size's place among these, 0 the smallest, 1 the
  largest.

  Args:
    curve: rows of pm_curve with `flops`, of one kind of PM.
  """
  column = scaling.accuracy_column(curve)
  lines = {}
  for (n, size), own in curve.groupby(['n_params', 'size']):
    mean = own.groupby('pairs')[['flops', column]].mean()
    lines[n, size] = np.log(mean['flops'].to_numpy()), mean[column].to_numpy()
  every = np.concatenate([x for x, _ in lines.values()])
  rows = []
  for level in np.linspace(every.min(), every.max(), LEVELS):
    here = [
      (float(np.interp(level, x, y)), size)
      for (_, size), (x, y) in sorted(lines.items())
      if x.min() <= level <= x.max()
    ]
    if len(here) < 2:
      continue
    best = max(range(len(here)), key=lambda i: here[i][0])
    row = {'flops': float(np.exp(level)), 'size': here[best][1]}
    row |= {'accuracy': here[best][0], 'sizes': len(here)}
    rows.append(row | {'rank': best / (len(here) - 1)})
  return pd.DataFrame(rows)
