"""Figure of long runs under one preference model and under several."""

import pandas as pd

from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import keep

REWARDS = {
  'robust': 'single PM',
  'ensemble_mean': 'mean',
  'ensemble_min': 'worst case',
  'ensemble_variance': 'variance penalty',
}
PANELS = {'gold': 'gold', 'test_pm': 'test PM'}
DASHES = ('-', '--', '-.', ':')
COLOURS = ('0.2', 'C0', 'C1', 'C2')


def runs_of(tables) -> pd.DataFrame:
  """Rows of the runs under ensembles and of the single PM's, half a."""
  return keep(
    marks.rl_rows(tables, list(REWARDS)), 'rl_curve.csv of robust', half='a'
  )


def gold_under_ensembles(canvas, tables):
  """Gold and test PM against sqrt(KL), under one PM and under several.

  Long runs of one policy size; gains over pi_0, means over seeds with their
  95 % bands. All members of an ensemble read the same pairs. Where the test PM
  rises while gold falls both PMs are wrong together (Coste et al. 2023).
  """
  curve = runs_of(tables)
  keep(curve, 'rl_curve.csv', role=[x for x in REWARDS if x != 'robust'])
  shown = [name for name in PANELS if curve[name].notna().all()]
  titles = [PANELS[name] for name in shown]
  label = 'gain over $\\pi_0$ (log-odds)'
  axes = canvas.panels(titles, marks.SQRT_KL, label)
  for axis, name in zip(axes, shown, strict=True):
    start = curve.groupby('run_id')[name].transform('first')
    gain = curve.assign(gain=curve[name] - start)
    for i, (role, reward) in enumerate(REWARDS.items()):
      rows = gain[gain['role'] == role]
      if len(rows):
        style = {'label': reward, 'color': COLOURS[i], 'ls': DASHES[i]}
        canvas.mean_line(axis, rows, 'iteration', 'root', 'gain', **style)
    axis.axhline(0, color='0.6', lw=0.8)
