"""Figures of PM accuracy against data and size."""

import numpy as np

from rlhf_jax.analysis import calibration
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import NotRunError, keep, select
from rlhf_jax.analysis.scaling import accuracy_column


def pm_accuracy_vs_pairs(canvas, tables):
  """Accuracy against pairs seen, by size (Fig. 7 left)."""
  x_label = 'training pairs seen'
  for axis, subset, rows in _accuracy_panels(canvas, tables, x_label):
    canvas.size_lines(axis, rows, 'pairs', 'pairs', accuracy_column(rows))
    _baselines(axis, tables, subset)


def pm_accuracy_vs_size(canvas, tables):
  """Accuracy against size, a shade a number of pairs (Fig. 7 right)."""
  for axis, _, rows in _accuracy_panels(canvas, tables, marks.PARAMS):
    marks.size_axis(axis, rows)
    shades = canvas.shades(sorted(rows['pairs'].unique()), 'cividis_r')
    y = accuracy_column(rows)
    for pairs, shade in shades.items():
      style = {'color': shade, 'label': f'{pairs:,.0f} pairs'}
      seen = rows[rows['pairs'] == pairs]
      canvas.mean_line(axis, seen, 'n_params', 'n_params', y, **style)


def _accuracy_panels(canvas, tables, x_label):
  """(axis, subset, rows) of the learning curves; a panel a training set."""
  curve = select(tables, 'pm_curve', role='scaling')
  own = curve['eval_subset'] == curve['train_subset']
  curve = keep(curve[own & (curve['pairs'] > 0)], 'the learning curves')
  panels = list(curve.groupby('eval_subset'))
  titles = [f'Trained and tested on {subset}' for subset, _ in panels]
  axes = canvas.panels(titles, x_label, marks.ACCURACY, sharey=True)
  for axis, (subset, rows) in zip(axes, panels, strict=True):
    axis.set_xscale('log')
    yield axis, subset, rows


def _baselines(axis, tables, subset):
  """The ceiling of the labels, and the rule that the longer reply wins."""
  try:
    pairs = select(tables, 'pm_pairs', train_subset=subset)
  except NotRunError:
    return
  ceiling, longer = calibration.ceiling(pairs), calibration.longer_wins(pairs)
  axis.axhline(longer, color='k', ls=':', lw=1, label='longer wins')
  if np.isfinite(ceiling):
    axis.axhline(ceiling, color='k', ls='--', lw=1, label='ceiling')
