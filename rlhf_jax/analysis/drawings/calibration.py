"""Figures of PM scores against labels, on the pairs of claims 4 to 6."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from rlhf_jax.analysis import calibration, intervals
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.scored_pairs import (
  broadest_pairs,
  helpful_pairs,
  mixture_pairs,
)

HELPFUL = 'PM trained on helpful, helpful pairs'
MIXTURE = 'PM of the mixture, all pairs'
BROADEST = {
  'mixture': MIXTURE,
  'calibration': 'PM trained on helpful, all pairs',
}


def pm_calibration(canvas, tables):
  """Agreement against score difference, largest size (Fig. 9).

  Pairs of all seeds together, in equal-count bins, with Wilson intervals; a
  bin stands at the difference whose sigmoid is its mean prediction. The panels
  are what claims 4 and 5 are judged on.
  """
  chosen = {HELPFUL: helpful_pairs, MIXTURE: mixture_pairs}
  labels = 'PM score difference (log-odds)', 'agreement with the label'
  for axis, rows in _panels(canvas, tables, chosen, *labels):
    size = rows['size'].iloc[0]
    bins = calibration.calibrate(rows).bins
    if bins.empty:
      raise NotRunError('pm_pairs holds a score that is not finite')
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
  """Accuracy where both scores exceed a rising threshold (Fig. 25).

  The second panel is what claim 6 is judged on.
  """
  pairs, role = broadest_pairs(tables)
  chosen = {HELPFUL: helpful_pairs, BROADEST[role]: lambda tables: pairs}
  x_label = 'threshold on both scores (quantile)'
  for axis, rows in _panels(canvas, tables, chosen, x_label, marks.ACCURACY):
    keys = ['size', 'n_params', 'seed', 'run_id']
    curves = [
      calibration.min_score_accuracy(run).assign(
        size=size, n_params=n_params, seed=seed
      )
      for (size, n_params, seed, _), run in rows.groupby(keys)
    ]
    columns = ('quantile', 'quantile', 'accuracy')
    canvas.size_lines(axis, pd.concat(curves), *columns)


def _panels(canvas, tables, chosen, x_label, y_label):
  """[(axis, pairs), ...]: a panel for each choice of which there are rows."""
  found = {}
  for title, choose in chosen.items():
    try:
      found[title] = choose(tables)
    except NotRunError as error:
      reason = error
  if not found:
    raise reason
  axes = canvas.panels(list(found), x_label, y_label, sharey=True)
  return list(zip(axes, found.values(), strict=True))
