"""Figure of PMs of one objective on the other."""

import numpy as np

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import keep, last, select
from rlhf_jax.analysis.scaling import accuracy_column

SUBSET_COLOURS = {'helpful': 'C0', 'harmless': 'C1'}


def helpful_harmless(canvas, tables):
  """Accuracy of each PM on both test sets (Fig. 19)."""
  curve = select(tables, 'pm_curve', role=['single', 'mixture'])
  rows = keep(
    last(curve, 'pairs'), 'pm_curve.csv', eval_subset=list(SUBSET_COLOURS)
  )
  (axis,) = canvas.panels([''], 'PM trained on', marks.ACCURACY)
  trained = sorted(rows['train_subset'].unique())
  y = accuracy_column(rows)
  keys = ['train_subset', 'eval_subset']
  for (train, subset), group in rows.groupby(keys):
    mean = intervals.t_interval(group.groupby('seed')[y].mean())
    half = mean.high - mean.mean
    shift = -0.2 if subset == 'helpful' else 0.2
    style = {'color': SUBSET_COLOURS[subset], 'label': f'tested on {subset}'}
    style['yerr'] = half if np.isfinite(half) else None
    axis.bar(trained.index(train) + shift, mean.mean, 0.36, **style)
  axis.axhline(0.5, color='k', ls='--', lw=1, label='coin')
  axis.set_xticks(range(len(trained)), trained)
