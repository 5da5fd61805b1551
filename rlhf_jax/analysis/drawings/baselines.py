"""Figure of several ways to a policy, on one axis of KL."""

import numpy as np

from rlhf_jax.analysis import best_of_n, equal_kl
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import NotRunError, keep, select, sizes

ALGORITHMS = {
  'by_ppo': 'PPO',
  'by_rloo': 'RLOO',
  'by_grpo': 'GRPO',
  'by_dpo': 'DPO',
}
PANELS = {'train': 'train PM', 'test': 'test PM', 'gold': 'gold'}
COLOURS = dict(zip(ALGORITHMS, ('C0', 'C1', 'C2', '#7b4bb0'), strict=True))
DASHES = dict(zip(ALGORITHMS, ('-', '--', '-.', ':'), strict=True))
MARKERS = dict(zip(ALGORITHMS, 'osv^', strict=True))
BEST = {'ls': '', 'marker': 'D', 'ms': 4.5, 'mfc': 'none', 'color': '0.25'}
EDGE = {'color': '0.55', 'lw': 1.6}


def algorithms(canvas, tables):
  """Gain over pi_0 against sqrt(KL): PPO, RLOO, GRPO, DPO and best-of-n.

  Train PM, test PM and gold of the same replies to held-out prompts, KL exact;
  means over seeds with their 95 % bands. Best-of-n chooses by the train PM
  everywhere, as the policies do. Grey: the most that pi_0 allows in each score.
  Last panel: gold less that of PPO at equal KL, seed by seed.
  """
  draw_ways(canvas, tables, marks.rl_rows(tables, list(ALGORITHMS)))


def draw_ways(canvas, tables, curve):
  """The panels of policies of these roles, beside what pi_0 allows.

  Args:
    canvas: figures.Canvas.
    tables: with frontier and best_of_n, of role linear, if they were measured.
    curve: rows of rl_curve with `root`, of one size.
  """
  shown = [n for n in PANELS if curve[equal_kl.SCORES[n]].notna().all()]
  titles = [PANELS[name] for name in shown] + ['less PPO, at equal KL']
  label = 'gain over $\\pi_0$ (log-odds)'
  axes = canvas.panels(titles, marks.SQRT_KL, label)
  (size,) = sizes(curve)
  runs = {'role': 'linear', 'subset': 'all', 'size': size}
  runs['seed'] = sorted(set(curve['seed']))
  for axis, name in zip(axes, shown, strict=False):
    _edge(axis, tables, name, runs)
    _best(axis, tables, name, runs)
    _policies(canvas, axis, curve, equal_kl.SCORES[name])
    axis.set_xlim(0, 1.05 * curve['root'].max())
    axis.axhline(0, color='0.6', lw=0.8)
  _less_ppo(axes[-1], curve, shown[-1])


def _policies(canvas, axis, curve, column):
  """A line an algorithm: mean over seeds at each checkpoint."""
  start = curve.groupby('run_id')[column].transform('first')
  curve = curve.assign(gain=curve[column] - start)
  for role, rows in _by_role(curve):
    canvas.mean_line(axis, rows, 'iteration', 'root', 'gain', **_style(role))


def _by_role(frame):
  """[(role, its rows)] of those that are there, in their order."""
  there = set(frame['role'])
  return [
    (role, frame[frame['role'] == role]) for role in ALGORITHMS if role in there
  ]


def _style(role):
  return {
    'label': ALGORITHMS[role],
    'color': COLOURS[role],
    'ls': DASHES[role],
    'marker': MARKERS[role],
    'lw': 1.3,
  }


def _edge(axis, tables, scorer, runs):
  """The frontier of one score of these runs, if it was measured."""
  try:
    own = select(tables, 'frontier', scorer=scorer, **runs)
  except NotRunError:
    return
  rank = own.groupby('run_id')['b'].rank()
  steps = own.assign(root=np.sqrt(own['kl'].clip(lower=0)))
  steps = steps.groupby(rank)[['root', 'gain']].mean()
  root_N, gain_N = np.append(0, steps['root']), np.append(0, steps['gain'])
  axis.plot(root_N, gain_N, label='the most $\\pi_0$ allows', **EDGE)


def _best(axis, tables, scorer, runs):
  """Best-of-n by the train PM, measured by one scorer, if it was."""
  try:
    best = select(tables, 'best_of_n', **runs)
    own = keep(best_of_n.measured_by(best, scorer, 'train'), 'best_of_n.csv')
  except NotRunError:
    return
  steps = own.groupby('n')[['kl', 'gain']].mean()
  root_N = np.sqrt(steps['kl'])
  axis.plot(root_N, steps['gain'], label='best of n = 2, 4, 8, ...', **BEST)


def _less_ppo(axis, curve, scorer):
  """Gain in one score less PPO's, at values of sqrt(KL) that all reach."""
  found = equal_kl.gains(curve)
  found = found[found['scorer'] == scorer]
  axis.axhline(0, color='0.6', lw=0.8)
  axis.set_ylabel(f'{PANELS[scorer]} (log-odds)')
  for i, (role, _) in enumerate(_by_role(curve)):
    if role == 'by_ppo':
      continue
    try:
      rows = equal_kl.less_than(found, role, 'by_ppo')
    except NotRunError:
      continue
    away = [rows['mean'] - rows['low'], rows['high'] - rows['mean']]
    away = np.where(np.isfinite(away), away, 0.0)
    step = 0.04 * rows['root'].max() * (i - 2)  # bars beside one another
    style = _style(role) | {'ls': '', 'ms': 4}
    style.pop('label')
    axis.errorbar(rows['root'] + step, rows['mean'], away, capsize=2, **style)
