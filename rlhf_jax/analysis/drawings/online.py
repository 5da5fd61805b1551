"""Figures of online training: tranches, policies and PMs by round."""

import numpy as np

from rlhf_jax.analysis import intervals, tranches
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import NotRunError, select

TRANCHES = {'base': 'base', 'rs': 'best of k', 'online': 'online'}
BINS, DASHES = 40, ('-', '--', ':')
EQUAL_TOTALS = {
  'ece_base_only': 'base pairs',
  'ece_thirds': 'thirds',
  'ece_final': 'all pairs',
}


def tranche_scores(canvas, tables):
  """Scores of held-out replies of each tranche under the final PM (Fig. 15)."""
  pairs = select(tables, 'tranche_pairs', pm='final')
  (axis,) = canvas.panels([''], 'score of the final PM (log-odds)', 'density')
  edges = np.histogram_bin_edges(tranches.replies_of(pairs), BINS)
  for i, (name, label) in enumerate(TRANCHES.items()):
    own = pairs[pairs['tranche'] == name]
    if own.empty:
      continue
    density, _ = np.histogram(tranches.replies_of(own), edges, density=True)
    style = {'color': f'C{i}', 'ls': DASHES[i], 'lw': 1.5, 'label': label}
    axis.stairs(density, edges, **style)


def policies_as_judges(canvas, tables):
  """Accuracy on base pairs of policies as judges, beside their PM (Fig. 34).

  A policy prefers the reply of larger mean log-probability of a token; @N is
  after iteration N of its training. Right, what claim 28 wants above 0: what RL
  adds to the last round's policy, and what its PM has more. Means with 95 %
  intervals over seeds.
  """
  own, pm = tranches.judges(tables, select(tables, 'online_policies'))
  own = own[sorted(own, key=_order)]
  labels = [marks.ACCURACY, 'difference']
  titles = ['Judges', 'Differences']
  left, right = canvas.panels(titles, '', labels, width_ratios=marks.WIDTHS)
  marks.seed_lines(left, own, dict.fromkeys(own, ''), **marks.MEANS[0])
  places, names = np.arange(len(own.columns) + 1), [*own, 'PM']
  left.plot(np.full(len(pm), places[-1]), pm, '.', color='0.7', ms=5)
  marks.seed_bar(left, places[-1], pm, **marks.MEANS[1])
  left.set_xticks(places, names, rotation=60, ha='right')
  left.set_xlim(-0.6, len(places) - 0.4)
  differences = {
    'final - pi_0': own['final'] - own['pi_0'],
    'PM - final': pm - own['final'],
  }
  marks.seed_differences(right, differences)


def top_calibration(canvas, tables):
  """Calibration error of PMs on the same tenth of pairs, of highest scores.

  Less what a calibrated PM would have; pairs are chosen by the PM of all pairs.
  Base pairs alone and equal thirds of the tranches are as many. Right, what
  claim 32 wants below 0. Means with 95 % intervals over seeds.
  """
  found = tranches.top_errors_by_seed(tables)
  labels, titles = ['calibration error', 'difference'], ['PM trained on', '']
  left, right = canvas.panels(titles, '', labels, width_ratios=marks.WIDTHS)
  marks.seed_lines(left, found, EQUAL_TOTALS)
  own = found['ece_thirds'] - found['ece_base_only']
  marks.seed_differences(right, {'thirds - base pairs': own})


def online_rounds(canvas, tables):
  """Elo over pi_0 of every policy by the simulated crowd, 95 % over seeds."""
  games = select(tables, 'matches')
  if games['win_rate'].isna().any():
    raise NotRunError('nobody judges replies to real prompts')
  found = {}
  for _, own in games.groupby('seed'):
    for name, rating in tranches.ratings(own).items():
      found.setdefault(name, []).append(rating)
  names = sorted(found, key=_order)
  (axis,) = canvas.panels([''], 'policy', r'Elo over $\pi_0$')
  for i, name in enumerate(names):
    mean = intervals.t_interval(found[name])
    half = mean.high - mean.mean
    half = half if np.isfinite(half) else None
    style = {'color': f'C{int("@" in name)}', 'marker': 'o', 'ms': 4, 'ls': ''}
    axis.errorbar(i, mean.mean, half, **style)
  axis.axhline(0, color='0.6', lw=0.8)
  axis.set_xticks(range(len(names)), names, rotation=60, ha='right')


def deployed_elo(canvas, tables):
  """Elo of deployed snapshots by what people chose, 95 % over conversations.

  Over the snapshot that was served first; a panel a round.
  """
  rows = select(tables, 'deployed')
  if rows['elo'].isna().all():
    raise NotRunError(f'no round has a fit of Elo: {rows["fit"].iloc[0]}')
  rows = rows[rows['elo'].notna()]
  rounds = list(dict.fromkeys(rows['run_id']))
  axes = canvas.panels(rounds, 'snapshot', 'Elo')
  for axis, name in zip(axes, rounds, strict=True):
    own = rows[rows['run_id'] == name]
    half = [own['elo'] - own['elo_low'], own['elo_high'] - own['elo']]
    style = {'marker': 'o', 'ms': 4, 'ls': '', 'capsize': 3}
    axis.errorbar(range(len(own)), own['elo'], half, **style)
    axis.axhline(0, color='0.6', lw=0.8)
    axis.set_xticks(range(len(own)), own['player'], rotation=60, ha='right')


def _order(name):
  """pi_0, the rounds in order, the last one, and the controlled test."""
  head = name.partition('@')[0]
  first = ('pi_0', 'base_only', 'round', 'final', 'thirds')
  place = [i for i, start in enumerate(first) if head.startswith(start)]
  return [*(place or [len(first)]), head, '@' not in name, name]
