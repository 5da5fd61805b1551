"""Figure of a scan of the KL coefficient, beside pretraining text mixed in."""

import pandas as pd

from rlhf_jax.analysis import text_tax
from rlhf_jax.analysis.findings import NotRunError, keep, select

PANELS = {
  'gain': 'train PM, gain (log-odds)',
  'gold': 'gold',
  'kl': r'KL from $\pi_0$ (nats)',
  'nats': 'pretraining text (nats a token)',
}


def rows_of(tables) -> pd.DataFrame:
  """A row a seed and policy of the long runs, and pi_0, with their losses."""
  runs = text_tax.long_runs(select(tables, 'rl_curve'))
  tax = select(tables, 'tax', role='tax')
  tax = tax[['seed', 'policy', 'nats', 'gold']]
  rows = runs.drop(columns='gold').merge(tax, on=text_tax.RUN, how='right')
  rows = rows[rows['policy'].isin({'pi_0', *runs['policy']})]
  start = rows['policy'] == 'pi_0'
  rows.loc[start, ['gain', 'kl']] = 0.0
  return keep(rows, 'long runs in tax.csv')


def kl_coefficients(canvas, tables):
  """Reward, gold, KL and loss on text at the end, by kl_coef (App. E.6, E.7).

  Across stand pi_0 and PPO with pretraining text mixed in, as means over seeds.
  """
  rows = rows_of(tables)
  scan = rows[~rows['policy'].isin(['pi_0', text_tax.MIXED])]
  if scan['kl_coef'].nunique() < 2:
    raise NotRunError('runs of one kl_coef are no scan')
  places = {coef: i for i, coef in enumerate(sorted(scan['kl_coef'].unique()))}
  scan = scan.assign(place=scan['kl_coef'].map(places))
  shown = [name for name in PANELS if rows[name].notna().any()]
  axes = canvas.panels([PANELS[name] for name in shown], 'kl_coef', '')
  for axis, name in zip(axes, shown, strict=True):
    canvas.mean_line(axis, scan, 'place', 'place', name, label='PPO')
    for policy, label, style in (
      ('pi_0', r'$\pi_0$', {'color': '0.4', 'ls': ':'}),
      (text_tax.MIXED, 'PPO-ptx', {'color': 'C1', 'ls': '--'}),
    ):
      mean = rows.loc[rows['policy'] == policy, name].mean()
      axis.axhline(mean, lw=1.5, label=label, **style)
    axis.set_xticks(range(len(places)), [f'{coef:g}' for coef in places])
