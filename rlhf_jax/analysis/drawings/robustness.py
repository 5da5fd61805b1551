"""Figures of train PM, test PM and gold in long runs."""

from rlhf_jax.analysis import pm_sizes, robustness
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import keep, select

SCORERS = {'train_pm': 'train PM', 'test_pm': 'test PM', 'gold': 'gold'}


def train_test_gold(canvas, tables):
  """Train PM, test PM and gold against samples (Figs. 4 and 33)."""
  _gains(canvas, tables, 'samples', marks.SAMPLES, SCORERS)


def overoptimisation(canvas, tables):
  """Train PM and gold against sqrt(KL) (Fig. 35; Stiennon et al., Fig. 5)."""
  _gains(canvas, tables, 'root', marks.SQRT_KL, ('train_pm', 'gold'))


def _gains(canvas, tables, x, x_label, scorers):
  """Gains of the robust runs, directions averaged; a panel a pair of sizes."""
  rows = marks.rl_rows(tables, 'robust')
  panels = list(rows.groupby(['size', 'pm_size']))
  titles = [f'policy {size}, train PM {pm}' for (size, pm), _ in panels]
  y_label = 'gain over $\\pi_0$ (log-odds)'
  axes = canvas.panels(titles, x_label, y_label, sharey=True)
  for axis, (_, group) in zip(axes, panels, strict=True):
    for scorer in scorers:
      start = group.groupby('run_id')[scorer].transform('first')
      gain = group.assign(gain=group[scorer] - start)
      if gain['gain'].notna().all():
        label = SCORERS[scorer]
        canvas.mean_line(axis, gain, 'iteration', x, 'gain', label=label)


def gap_vs_samples(canvas, tables):
  """Train PM less test PM, directions averaged (Fig. 4); a line a train PM.

  Shaded: the samples over which claim 19 asks whether the two agree.
  """
  robust = marks.rl_rows(tables, 'robust')
  (axis,) = canvas.panels([''], marks.SAMPLES, 'train PM - test PM (log-odds)')
  curve = select(tables, 'rl_curve')
  rows = curve[curve['role'].str.startswith(('robust', 'under_'))]
  gaps = keep(pm_sizes.gaps_by_size(rows), 'the gap')
  for pm_size in sorted(gaps['pm_size'].unique(), key=_place(canvas)):
    style = {'label': f'train PM {pm_size}'}
    own = gaps[gaps['pm_size'] == pm_size]
    canvas.mean_line(axis, own, 'samples', 'samples', 'gap', **style)
  axis.axhline(0, color='k', lw=0.8)
  early = [share * robust['samples'].max() for share in robustness.EARLY]
  axis.axvspan(*early, color='0.5', alpha=0.15, lw=0, label='claim 19, early')


def _place(canvas):
  """A key that puts sizes of the study in their order, before any other."""
  place = {size: i for i, size in enumerate(canvas.colours)}
  return lambda size: (place.get(size, len(place)), size)
