"""The figure a reader takes away: frontier, best-of-n and PPO at once."""

import numpy as np

from rlhf_jax.analysis import best_of_n, kl_reward
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import NotRunError, by_size, keep, select, sizes

PANELS = {'train': 'train PM', 'test': 'test PM', 'gold': 'gold'}
# Told apart without colour: kinds by their lines, sizes by shade and marker.
FRONTIER = {'ls': '-', 'lw': 1.6, 'marker': ''}
BEST_OF_N = {'ls': '', 'ms': 5.5, 'mfc': 'none', 'mew': 1.2}
PPO = {'ls': (0, (4, 1.5)), 'lw': 1.2, 'ms': 3.5, 'markevery': 2}
MARKERS = 'osv^D'
INCHES, FONT = (6.4, 5.6), 11.5  # 400 pixels wide, letters are 10 high


def frontier_and_policies(canvas, tables):
  """Gain over pi_0 against sqrt(KL): the most pi_0 allows, best-of-n and PPO.

  A panel a scorer, on held-out prompts of all kinds; means over seeds, of PPO
  with their 95 % band. Frontier and best-of-n choose by the scorer of their
  panel, PPO has seen the train PM alone.
  """
  edges = select(tables, 'frontier', role='linear', subset='all')
  best = select(tables, 'best_of_n', role='linear', subset='all')
  curve = marks.rl_rows(tables, 'linear')
  shown = [name for name in PANELS if name in set(edges['scorer'])]
  axes, corner = _panels(canvas.figure, len(shown))
  order = dict(zip(sizes(edges), MARKERS, strict=False))
  for axis, name in zip(axes, shown, strict=True):
    axis.set_title(PANELS[name], fontsize=FONT)
    for size, rows in by_size(keep(edges, 'frontier.csv', scorer=name)):
      style = {'color': canvas.colours[size], 'label': f'_{size}'}
      style['marker'] = order[size]
      _edges(canvas, axis, rows, style)
      own = best_of_n.measured_by(best, name, name)
      own = keep(own, 'best_of_n.csv', size=size)
      _best(axis, own, style)
      own = keep(curve, 'rl_curve.csv', size=size)
      _policies(canvas, axis, own, kl_reward.SCORES[name], style)
    axis.set_xlim(0, kl_reward.WINDOW_SQRT_KL)
    axis.tick_params(labelsize=FONT - 2)
    axis.axhline(0, color='0.6', lw=0.8)
  canvas.figure.supxlabel(marks.SQRT_KL, fontsize=FONT)
  canvas.figure.supylabel('gain over $\\pi_0$ (log-odds)', fontsize=FONT)
  _legend(canvas, corner, order)


def _panels(figure, count):
  """(axes of `count` panels, that of the legend): three and a corner, or a row.

  Without gold, of real models, the legend lies below the panels.
  """
  if count == len(PANELS):
    figure.set_size_inches(INCHES)
    *axes, corner = figure.subplots(2, 2).flat
    return axes, corner
  figure.set_size_inches(INCHES[0], 0.7 * INCHES[1])
  names = [str(i) for i in range(max(count, 1))]
  mosaic = [names, ['legend'] * len(names)]
  found = figure.subplot_mosaic(mosaic, height_ratios=[5, 2])
  return [found[name] for name in names[:count]], found['legend']


def _edges(canvas, axis, rows, style):
  """The mean frontier of one size; seeds at equal ranks of b."""
  rank = rows.groupby('run_id')['b'].rank()
  rows = rows.assign(rank=rank, root=np.sqrt(rows['kl'].clip(lower=0)))
  steps = rows.groupby('rank')[['root', 'gain']].mean()
  root_N = np.append(0, steps['root'])
  gain_N = np.append(0, steps['gain'])
  axis.plot(root_N, gain_N, **(style | FRONTIER))


def _best(axis, rows, style):
  """Best-of-n of one size; its KL is a function of n."""
  steps = rows.groupby('n')[['kl', 'gain']].mean()
  axis.plot(np.sqrt(steps['kl']), steps['gain'], **(style | BEST_OF_N))


def _policies(canvas, axis, rows, column, style):
  """PPO of one size, as gains over its own start."""
  rows = rows.sort_values('iteration')
  start = rows.groupby('run_id')[column].transform('first')
  rows = rows.assign(gain=rows[column] - start)
  canvas.mean_line(axis, rows, 'iteration', 'root', 'gain', **(style | PPO))


def _legend(canvas, corner, order):
  """Kinds and sizes, in the corner that no panel takes."""
  if not order:
    raise NotRunError('no size has a frontier')
  corner.set_axis_off()
  grey = {'color': '0.25', 'marker': 'P'}  # of no size
  kinds = {
    'the most pi_0 allows': FRONTIER,
    'best of n = 2, 4, 8, ...': BEST_OF_N,
    'PPO': PPO,
  }
  styles = [grey | kind for kind in kinds.values()]
  styles += [
    {'ls': '', 'ms': 6, 'marker': marker, 'color': canvas.colours[size]}
    for size, marker in order.items()
  ]
  lines = [corner.plot([], [], **style)[0] for style in styles]
  names = [name.replace('pi_0', r'$\pi_0$') for name in kinds]
  names += [f'policy of {size}' for size in order]
  style = {'loc': 'center', 'fontsize': FONT - 1, 'handlelength': 2.6}
  corner.legend(lines, names, **style)
