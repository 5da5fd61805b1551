"""Figure of gold under best-of-n and under PPO, with the forms of Gao et al."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import best_of_n, gold_forms
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import by_size, keep, select, sizes

GOLD = 'gain of gold over $\\pi_0$ (log-odds)'
DESIGNS = {
  'best of n': gold_forms.best_of_n_design,
  'PPO': gold_forms.rl_design,
}
STYLES = {
  'best of n': {'ls': '', 'marker': 's', 'ms': 4.5, 'mfc': 'none'},
  'PPO': {'ls': '', 'marker': 'o', 'ms': 3},
}


def gold_and_forms(canvas, tables):
  """Gold against sqrt(KL): best of n by the train PM, PPO, and the frontier.

  A panel a policy size; means over seeds. Lines are d (alpha - beta d) of best
  of n and d (alpha - beta log d) of PPO, fitted to the means; grey is the most
  that pi_0 allows in gold (Gao et al. 2022, Fig. 1; Bai et al., Fig. 13).
  """
  best = select(tables, 'best_of_n', role='linear', subset='all')
  best = best_of_n.measured_by(best, 'gold', 'train')
  best = keep(best, 'best_of_n.csv, chosen by train, measured by gold,')
  curve = marks.rl_rows(tables, 'linear')
  start = curve.groupby('run_id')['gold'].transform('first')
  curve = curve.assign(gain=curve['gold'] - start)
  order = [size for size in sizes(curve) if size in set(best['size'])]
  titles = [f'policy of {size}' for size in order]
  axes = canvas.panels(titles, marks.SQRT_KL, GOLD, sharey=True)
  for axis, size in zip(axes, order, strict=True):
    shown = {
      'best of n': _means(keep(best, 'best_of_n.csv', size=size), 'n'),
      'PPO': _means(keep(curve, 'rl_curve.csv', size=size), 'iteration'),
    }
    for name, rows in shown.items():
      _points_and_form(axis, name, rows, canvas.colours[size])
    _edge(axis, tables, size)
    axis.axhline(0, color='0.6', lw=0.8)


def _means(rows, by):
  """Mean root and gain over seeds, of points off pi_0; none without gold."""
  found = rows.groupby(by)[['kl', 'gain']].mean().dropna()
  return found[found['kl'] > 0].assign(root=lambda f: np.sqrt(f['kl']))


def _points_and_form(axis, name, rows, colour):
  """The points of one way to spend KL, and its own form through them."""
  axis.plot(
    rows['root'], rows['gain'], color=colour, label=name, **STYLES[name]
  )
  if len(rows) < gold_forms.POINTS:
    return
  design = DESIGNS[name]
  design_NK, gain_N = design(rows['root']), rows['gain'].to_numpy()
  coefficient_K = np.linalg.lstsq(design_NK, gain_N, rcond=None)[0]
  d_N = np.linspace(0.02, rows['root'].max(), 100)
  dashes = '-' if name == 'PPO' else '--'
  axis.plot(d_N, design(d_N) @ coefficient_K, color=colour, ls=dashes, lw=1)


def _edge(axis, tables, size):
  """The frontier of gold of one size, if it was measured."""
  edges = tables.get('frontier', pd.DataFrame(columns=['role']))
  own = edges[edges['role'] == 'linear']
  if own.empty:
    return
  own = own[(own['scorer'] == 'gold') & (own['subset'] == 'all')]
  for label, rows in by_size(own):
    if label == size:
      rank = rows.groupby('run_id')['b'].rank()
      steps = rows.assign(root=np.sqrt(rows['kl'].clip(lower=0)))
      steps = steps.groupby(rank)[['root', 'gain']].mean()
      style = {'color': '0.5', 'lw': 1.4, 'label': 'the most $\\pi_0$ allows'}
      axis.plot(steps['root'], steps['gain'], **style)
