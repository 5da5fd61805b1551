"""Figures of final policies by the PMs that score them, and by passes."""

from rlhf_jax.analysis import pm_sizes
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import by_size, keep, select

ROLES = {
  'judged_shared': 'under the largest PM',
  'judged_own': 'under PMs of their own size',
}


def test_pm_by_policy_size(canvas, tables):
  """Score of final policies against their size, a line a test PM (Fig. 33).

  Left, all policies are trained against the largest PM; right, each against
  one of its own size (Fig. 13). Bands are of seeds.
  """
  rows = select(tables, 'scored', subset='all', role=list(ROLES))
  rows = keep(rows[rows['pm_params'] > 0], 'scored.csv by a PM')
  shown = [role for role in ROLES if role in set(rows['role'])]
  titles = [f'policies {ROLES[role]}' for role in shown]
  axes = canvas.panels(titles, '', 'score by the test PM', sharey=True)
  colours = canvas.shades(sorted(rows['pm_params'].unique()))
  for axis, role in zip(axes, shown, strict=True):
    own = rows[rows['role'] == role]
    for pm, part in own.groupby('pm_params'):
      style = {'color': colours[pm], 'label': f'test PM of {pm:,.0f}'}
      canvas.mean_line(axis, part, 'size', 'n_params', 'mean', **style)
    if len(by_size(own)) > 1:
      marks.size_axis(axis, own)


def inner_passes(canvas, tables):
  """Final gain of runs of K passes over each batch, and how much it varies.

  Left, a line joins the runs of a seed, under one train PM; below 0 they end
  worse than pi_0. Right, the variance over seeds against that of one pass, on
  a log scale, where claim 26 wants K = 4 below 0. Means with 95 % intervals
  over seeds, right by the jackknife.
  """
  gain = pm_sizes.gains_by_passes(tables)
  labels = ['train PM (log-odds)', 'log variance ratio to K = 1']
  left, right = canvas.panels(['Final gain', 'Spread'], 'passes K', labels)
  marks.seed_lines(left, gain, {k: f'{k}' for k in gain})
  ratio = {k: pm_sizes.jackknife_log_ratio(gain[k], gain[1]) for k in (2, 4)}
  marks.seed_differences(right, {f'{k}': own for k, own in ratio.items()})
