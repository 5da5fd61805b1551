"""The figure of a comparison, drawn from its results alone."""

import pandas as pd

from rlhf_jax.analysis import figures

SQRT_KL = r'$\sqrt{\mathrm{KL}(\pi\,||\,\pi_0)}$ (sqrt nats per reply)'
LABELS = {'ours': 'rlhf_jax', 'theirs': 'TRL PPOTrainer'}


def tables(result):
  """The two tables that `agreement` draws."""
  points = pd.DataFrame(result['points'])
  first = [
    {'side': side, 'seed': seed, 'iteration': 0, **result['first']}
    for side in LABELS
    for seed in result['seeds']
  ]
  points = pd.concat([pd.DataFrame(first), points], ignore_index=True)
  points['sqrt_kl'] = points['kl'].clip(lower=0) ** 0.5
  rows = pd.DataFrame(result['rows'])
  rows = rows[rows['what'] == 'reward at sqrt(KL)'].rename(
    columns={'at': 'sqrt_kl'}
  )
  found = {'agreement': points.replace({'side': LABELS}), 'difference': rows}
  # What a canvas asks of every table; here are no sizes to tell apart.
  return {k: frame.assign(size='', n_params=0) for k, frame in found.items()}


def agreement(canvas, tables):
  """Reward against sqrt(KL) of both sides, and what lies between them.

  Each run is a thin line; the bands are 95 % t-intervals over seeds.
  """
  points, rows = tables['agreement'], tables['difference']
  labels = ['reward (log-odds)', 'ours - theirs (log-odds)']
  axes = canvas.panels(['Reward', 'Reward at equal KL'], SQRT_KL, labels)
  for i, (side, group) in enumerate(points.groupby('side')):
    for _, run in group.groupby('seed'):
      run = run.sort_values('iteration')
      axes[0].plot(run['sqrt_kl'], run['reward'], f'C{i}', lw=0.5, alpha=0.5)
    style = {'color': f'C{i}', 'label': side}
    canvas.mean_line(axes[0], group, 'iteration', 'sqrt_kl', 'reward', **style)
  away = [rows['difference'] - rows['low'], rows['high'] - rows['difference']]
  axes[1].errorbar(rows['sqrt_kl'], rows['difference'], away, fmt='ok', ms=3)
  axes[1].axhline(0, color='k', lw=0.8)


def draw(result, folder):
  """Saves folder/agreement.svg: its path."""
  return figures.save(agreement, tables(result), folder)
