"""The figure of cross-fitted heads on real pairs."""

import math

from rlhf_jax.analysis import conversations as over
from rlhf_jax.analysis import length_rules
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import select

OWN = {'helpful': ('helpful',), 'harmless': ('harmless',)}
BOTH = ('helpful', 'harmless')


def real_accuracy_vs_pairs(canvas, tables):
  """Accuracy by training pairs, over conversations, above the length rule.

  Bars are 95 % intervals over the conversations that are tested on, of all of
  which every model has one score; draws of the training pairs are averaged.
  """
  rows = select(tables, 'cross_pairs')
  models = list(dict.fromkeys(rows['model']))
  titles = [f'{model}: tested on {_own(model)}' for model in models]
  axes = canvas.panels(titles, 'training pairs', marks.ACCURACY, sharey=True)
  for axis, model in zip(axes, models, strict=True):
    own = rows[(rows['model'] == model)]
    own = own[own['subset'].isin(OWN.get(model, BOTH))]
    axis.set_xscale('log')
    x, y, low, high = zip(*_points(own), strict=True)
    bars = [
      [b - a for a, b in zip(low, y, strict=True)],
      [b - a for a, b in zip(y, high, strict=True)],
    ]
    axis.errorbar(x, y, bars, marker='o', ms=3, capsize=2, label='head')
    first = own[own['pairs'] == own['pairs'].max()]
    floor = length_rules.better_rule(first).mean()
    axis.axhline(floor, color='k', ls=':', lw=1, label='length rule')
    axis.axhline(0.5, color='0.6', ls='--', lw=1, label='chance')


def _own(model):
  return {'helpful': 'helpful', 'harmless': 'harmless'}.get(model, 'both')


def _points(rows):
  """Yields (pairs, accuracy, low, high) of each number of training pairs."""
  for pairs, part in rows.groupby('pairs'):
    right_N = part['right'].to_numpy(float)
    (drawn,) = over.mean_draws(right_N[:, None], part['prompt_id']).T
    one = over.interval(right_N.mean(), drawn, math.inf)
    yield pairs, one.mean, one.low, one.high
