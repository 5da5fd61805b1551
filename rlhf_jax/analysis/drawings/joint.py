"""Figures of accuracy by size and data at once, and by compute."""

import numpy as np

from rlhf_jax.analysis import compute, scaling
from rlhf_jax.analysis.findings import NotRunError, by_size, select

TITLES = {'helpful': 'Helpful pairs alone', 'mix': 'Helpful and harmless pairs'}


def joint_fits(canvas, tables):
  """Accuracy against pairs seen, and the joint fit c + a ln P + b ln D.

  Dashed: the fit to the mean over seeds, one plane for all sizes. Helpful pairs
  are tested on helpful ones, the mixture on the mixture; 95 % over seeds.
  """
  where = {'role': ['scaling', 'joint'], 'schedule': 'constant'}
  curve = select(tables, 'pm_curve', **where)
  curve = curve[curve['train_subset'] == curve['eval_subset']]
  kinds = [kind for kind in TITLES if kind in set(curve['train_subset'])]
  if 'helpful' not in kinds:
    raise NotRunError('no PMs of helpful pairs alone')
  titles = [TITLES[kind] for kind in kinds]
  axes = canvas.panels(titles, 'training pairs seen', 'accuracy', sharey=True)
  for axis, kind in zip(axes, kinds, strict=True):
    rows = scaling.mean_over_halves(curve[curve['train_subset'] == kind])
    rows = rows[rows['pairs'] > 0]
    column = scaling.accuracy_column(rows)
    axis.set_xscale('log')
    canvas.size_lines(axis, rows, 'pairs', 'pairs', column)
    ticks = sorted(rows['pairs'].unique())[::2]
    axis.set_xticks(ticks, [f'{x:,.0f}' for x in ticks])
    axis.set_xticks([], minor=True)
    if rows['size'].nunique() < 2 or rows['pairs'].nunique() < 2:
      continue
    c, a, b = scaling.joint_fit(rows).coefficient_K
    for size, own in by_size(rows):
      pairs_D = np.array(sorted(own['pairs'].unique()))
      level = c + a * np.log(own['n_params'].iloc[0])
      style = {'color': canvas.colours[size], 'ls': '--', 'lw': 1}
      axis.plot(pairs_D, level + b * np.log(pairs_D), **style)


def what_compute_buys(canvas, tables):
  """Accuracy of PMs and gold of policies against FLOPs of their training.

  Left: along the training of a PM of the mixture; where a line lies highest,
  its size is the best use of so many FLOPs. Right: along PPO under one train
  PM. Evaluations cost nothing here; 95 % over seeds.
  """
  spent = select(tables, 'compute')
  curve = select(tables, 'pm_curve', role='scaling', schedule='constant')
  curve = curve[curve['train_subset'] == curve['eval_subset']]
  curve = compute.spent(curve[curve['pairs'] > 0], spent, 'pairs')
  if curve.empty:
    raise NotRunError('compute.csv has no run of pm_curve.csv')
  parts = [(curve, 'pairs', scaling.accuracy_column(curve), 'PM accuracy')]
  policies = _policies(tables, spent)
  if not policies.empty:
    parts.append((policies, 'samples', 'gold', 'Gold of policies'))
  axes = canvas.panels(
    [title for *_, title in parts], 'FLOPs of training', [''] * len(parts)
  )
  for axis, (rows, seen, column, _) in zip(axes, parts, strict=True):
    axis.set_xscale('log')
    canvas.size_lines(axis, rows, seen, 'flops', column)


def _policies(tables, spent):
  """Rows of rl_curve of the linear runs with their FLOPs, after pi_0."""
  try:
    rows = select(tables, 'rl_curve', role='linear')
  except NotRunError:
    return spent[:0]
  rows = rows[(rows['samples'] > 0) & rows['gold'].notna()]
  return compute.spent(rows, spent, 'samples')
