"""Figures of games: Elo against PM scores, and Elo measured in four ways."""

import pandas as pd

from rlhf_jax.analysis import elo, games, lengths
from rlhf_jax.analysis.findings import NotRunError, by_size, select

WAYS = {
  'naive': 'PM score on prompts',
  'margins': 'PM score in talks',
  'choices': 'PM choices in talks',
  'gold': 'gold in talks',
}


def elo_vs_pm_score(canvas, tables):
  """Elo of snapshots of PPO by gold against their gain in PM score.

  Games on the same held-out prompts; 95 % over seeds. The grey line is 174 Elo
  a unit of score, which a calibrated PM has.
  """
  frame = select(tables, 'snapshots', play='prompts')
  if frame['elo'].isna().all():
    raise NotRunError('no run has a fit of Elo')
  frame = frame[frame['elo'].notna()]
  names = {'test_pm': 'test PM', 'train_pm': 'train PM'}
  axes = canvas.panels(
    [f'Score of the {name}' for name in names.values()],
    r'mean score less that of $\pi_0$ (log-odds)',
    r'Elo over $\pi_0$',
    sharey=True,
  )
  for axis, column in zip(axes, names, strict=True):
    first = frame[frame['player'] == games.START]
    first = first.set_index(['seed', 'size'])[column]
    keys = pd.MultiIndex.from_frame(frame[['seed', 'size']])
    gain = frame[column].to_numpy() - first.loc[keys].to_numpy()
    rows = frame.assign(gain=gain)
    top = max(rows['gain'].max(), 0.1)
    axis.plot([0, top], [0, elo.naive_elo(top)], color='0.6', lw=0.9)
    canvas.size_lines(axis, rows, 'iteration', 'gain', 'elo')


def elo_by_measurement(canvas, tables):
  """Elo of snapshots of PPO over pi_0, measured in four ways, as they train.

  Train PM scores count 174 Elo a unit. Talks are conversations of one to four
  turns with a simulated user. Sizes are averaged; 95 % over seeds.
  """
  (axis,) = canvas.panels([''], 'iterations of PPO', r'Elo over $\pi_0$')
  rows = pd.DataFrame(_measured(tables))
  for i, (way, label) in enumerate(WAYS.items()):
    style = {'color': f'C{i % 3}', 'ls': '--' if i > 2 else '-'}
    canvas.mean_line(
      axis, rows, 'iteration', 'iteration', way, label=label, **style
    )
  axis.axhline(0, color='0.6', lw=0.8)


def length_and_format(canvas, tables):
  """What PPO gains and how its replies look, as it trains.

  Top: gain in train PM score over pi_0, in all, where both replies have as many
  words (to a tenth), and by length alone: what pi_0 would gain with replies as
  long. Below: words, word pairs that come again, and words of refusal, less
  those of pi_0. Sizes are averaged; 95 % over seeds.
  """
  rows = lengths.by_snapshot(select(tables, 'game_replies'), 'train_pm')
  titles = ['Gain in score', 'Words', 'Repeated word pairs', 'Refusals']
  axes = canvas.panels(titles, 'iterations of PPO', '')
  gains = {'gain': 'all', 'matched': 'as many words', 'by_length': 'by length'}
  for (name, label), style in zip(gains.items(), ('-', '--', ':'), strict=True):
    style = {'label': label, 'ls': style}
    canvas.mean_line(axes[0], rows, 'iteration', 'iteration', name, **style)
  for axis, name in zip(axes[1:], ('words', 'repeats', 'refused'), strict=True):
    canvas.mean_line(axis, rows, 'iteration', 'iteration', name, color='C0')
  for axis in axes:
    axis.axhline(0, color='0.6', lw=0.8)


def _measured(tables):
  """A row for each snapshot of each run that has a fit."""
  scores = select(tables, 'snapshots', play='prompts')
  played = select(tables, 'snapshot_games', play='dialogues')
  rows = []
  for _, sized in by_size(scores):
    for seed, own in sized.groupby('seed'):
      mine = played[
        (played['seed'] == seed) & (played['size'] == own['size'].iloc[0])
      ]
      own = own.sort_values('iteration')
      try:
        found = games.ladder(mine, list(own['player']))
      except ValueError:
        continue
      gain = own['train_pm'].to_numpy() - own['train_pm'].iloc[0]
      for i, iteration in enumerate(own['iteration']):
        row = {'seed': seed, 'iteration': iteration}
        row['naive'] = float(elo.naive_elo(gain[i]))
        row |= {way: getattr(found, way)[i] for way in list(WAYS)[1:]}
        rows.append(row)
  if not rows:
    raise NotRunError('no run has a fit of Elo in conversations')
  return rows
