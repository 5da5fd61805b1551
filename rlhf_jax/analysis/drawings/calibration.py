"""Figures of PM scores against labels."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from rlhf_jax.analysis import calibration, intervals
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import by_size, select

SIZE_AND_SEED = ['size', 'n_params', 'seed']


def pm_calibration(canvas, tables):
  """Agreement against score difference, largest size (Fig. 9).

  Pairs of all seeds together, in equal-count bins, with Wilson intervals; a
  bin stands at the difference whose sigmoid is its mean prediction.
  """
  labels = 'PM score difference (log-odds)', 'agreement with the label'
  for axis, rows in _final_pm_panels(canvas, tables, *labels):
    size, rows = by_size(rows)[-1]
    bins = calibration.calibrate(rows).bins
    wilson = [
      intervals.wilson_interval(row.accuracy * row.n, row.n)
      for row in bins.itertuples()
    ]
    bar_2K = np.transpose([[i.mean - i.low, i.high - i.mean] for i in wilson])
    delta_K = logit(bins['predicted'])
    style = {'fmt': 'o', 'ms': 4, 'color': canvas.colours[size]}
    style['label'] = f'{size}, equal-count\nbins, Wilson 95 %'
    axis.errorbar(delta_K, bins['accuracy'], bar_2K, **style)
    line_N = np.linspace(0, 1.05 * delta_K.max(), 50)
    axis.plot(line_N, expit(line_N), 'k', lw=1, label=r'$1/(1+e^{-\Delta})$')


def pm_min_score(canvas, tables):
  """Accuracy where both scores exceed a rising threshold (Fig. 25)."""
  x_label = 'threshold on both scores (quantile)'
  for axis, rows in _final_pm_panels(canvas, tables, x_label, marks.ACCURACY):
    curves = [
      calibration.min_score_accuracy(run).assign(
        size=size, n_params=n_params, seed=seed
      )
      for (size, n_params, seed), run in rows.groupby(SIZE_AND_SEED)
    ]
    columns = ('quantile', 'quantile', 'accuracy')
    canvas.size_lines(axis, pd.concat(curves), *columns)


def _final_pm_panels(canvas, tables, x_label, y_label):
  """(axis, rows) of the decayed PMs, a panel a training set."""
  pairs = select(tables, 'pm_pairs', role=['calibration', 'mixture'])
  panels = list(pairs.groupby('train_subset'))
  titles = [f'PM trained on {subset}' for subset, _ in panels]
  axes = canvas.panels(titles, x_label, y_label, sharey=True)
  return zip(axes, [rows for _, rows in panels], strict=True)
