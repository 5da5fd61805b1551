"""Figure of reward against sqrt(KL)."""

import numpy as np

from rlhf_jax.analysis import kl_reward
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import by_size, select

GAIN = 'PM score less that of $\\pi_0$ (log-odds)'


def reward_vs_sqrt_kl(canvas, tables):
  """PM score against sqrt(KL), by policy size (Figs. 4 and 13).

  A PM's zero means nothing, so the mean score of pi_0 over the sizes is taken
  off each PM's scores; starting points of the sizes still differ.
  """
  curve, pi0 = marks.rl_rows(tables, 'linear'), select(tables, 'rl_pi0').copy()
  for name in ('train', 'test'):
    first = curve[curve['iteration'] == 0]
    zero = first.groupby('seed')[f'{name}_pm'].mean()
    curve[f'{name}_pm'] -= curve['seed'].map(zero)
    own = pi0['scorer'] == name
    pi0.loc[own, 'mean'] -= pi0.loc[own, 'seed'].map(zero)
  titles = ['Train PM', 'Test PM']
  axes = canvas.panels(titles, marks.SQRT_KL, GAIN, sharey=True)
  colours = [canvas.colours[size] for size in curve['size']]
  for axis, y in zip(axes, ('train_pm', 'test_pm'), strict=True):
    canvas.size_lines(axis, curve, 'iteration', 'root', y)
    axis.scatter(curve['root'], curve[y], 5, colours, **marks.POINTS)
  axes[0].set_ylim(axes[0].get_ylim())  # the bounds leave the plot
  for axis, scorer in zip(axes, ('train', 'test'), strict=True):
    for size, rows in by_size(curve):
      _early_lines(axis, rows, pi0, scorer, canvas.colours[size])
    axis.axvline(kl_reward.WINDOW_SQRT_KL, color='0.8', lw=1)
  axes[0].plot([], [], 'k:', label='fit of the window')
  axes[0].plot([], [], 'k--', lw=0.8, label=r'$s_0+\sqrt{2V\,\mathrm{KL}}$')


def _early_lines(axis, rows, pi0, scorer, colour):
  """The fit of the window and the theory bound, each a mean over runs."""
  rows = rows[rows['run_id'].isin(pi0[pi0['scorer'] == scorer]['run_id'])]
  if rows.empty:
    return
  root_N = np.array([0, kl_reward.WINDOW_SQRT_KL])
  s0, fit, bound = [], [], []
  for run_id, run in rows.groupby('run_id'):
    s0.append(kl_reward.pi0_score(pi0, run_id, scorer))
    fit.append(kl_reward.fit_window(run, f'{scorer}_pm', s0[-1]).slope)
    variance = kl_reward.within_variance(pi0, run_id, scorer)
    bound.append(kl_reward.theory_slope(variance))
  for slopes, style in ((fit, {'ls': ':'}), (bound, {'ls': '--', 'lw': 0.8})):
    line_N = np.mean(s0) + np.mean(slopes) * root_N
    axis.plot(root_N, line_N, color=colour, **style)
