"""Figure of what PPO of a real model costs on plain text."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import text_tax
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import keep, select

# Column -> (what it is of, what it is).
PANELS = {
  'more': ('held-out text', r'loss over $\pi_0$ (nats a token)'),
  'gain': ('train PM', r'gain over $\pi_0$ (log-odds)'),
  'kl': (r'KL from $\pi_0$', 'nats a reply'),
}
NAMES = {'ppo': 'PPO', text_tax.MIXED: 'PPO-ptx'}
MARKERS, STEP = 'osv^D*', 0.12  # of a seed; between two of them


def rows_of(tables) -> pd.DataFrame:
  """A row a seed and policy: more, its error, gain and kl."""
  runs = text_tax.real_runs(select(tables, 'rl_curve'))
  found = select(
    tables, 'text_loss_differences', role='text_loss', file=text_tax.ALL
  )
  names = {'after': 'policy', 'nats_per_token': 'more', 'nats_stderr': 'error'}
  found = found.rename(columns=names)[[*text_tax.RUN, 'more', 'error']]
  rows = runs.merge(found, on=text_tax.RUN)
  return keep(rows, 'policies in text_loss_differences.csv')


def real_text_tax(canvas, tables):
  """Loss on text that no policy has read, reward and KL at the end of PPO.

  Of PPO, of PPO with such text mixed in (Ouyang et al. 2022, section 4.2) and
  of PPO with a larger KL coefficient: a mark a seed; bars are 95 % intervals
  over documents.
  """
  rows = rows_of(tables)
  order = sorted(set(rows['policy']), key=lambda x: (x not in NAMES, x))
  words = [
    NAMES.get(x, f'$\\lambda$ = {x.removeprefix(text_tax.SCAN)}') for x in order
  ]
  titles, labels = zip(*PANELS.values(), strict=True)
  axes = canvas.panels(titles, '', labels)
  place = {policy: k for k, policy in enumerate(order)}
  rows = rows.assign(place=rows['policy'].map(place)).sort_values('place')
  seeds = sorted(set(rows['seed']))
  for axis, column in zip(axes, PANELS, strict=True):
    for k, seed in enumerate(seeds):
      own = rows[rows['seed'] == seed]
      x_N = own['place'] + STEP * (k - (len(seeds) - 1) / 2)
      bars = marks.TWO_SIDED * own['error'] if column == 'more' else None
      style = {'color': f'C{k % 3}', 'marker': MARKERS[k % len(MARKERS)]}
      style |= {'ls': '', 'ms': 5, 'capsize': 3, 'label': f'seed {seed}'}
      axis.errorbar(x_N, own[column], bars, **style)
    axis.axhline(0, color='0.4', ls=':', lw=1.2, label=r'$\pi_0$')
    axis.set_xticks(np.arange(len(order)), words)
    axis.set_xlim(-0.5, len(order) - 0.5)
