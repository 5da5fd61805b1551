"""Figure of final policies by the PMs that score them."""

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
