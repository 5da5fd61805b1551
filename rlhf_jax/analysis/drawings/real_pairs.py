"""The figure of cross-fitted heads on real pairs."""

import math

import numpy as np

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import conversations as over
from rlhf_jax.analysis import crossed, length_rules
from rlhf_jax.analysis.drawings import marks
from rlhf_jax.analysis.findings import NotRunError, select
from rlhf_jax.analysis.shares import is_share

OWN = {'helpful': ('helpful',), 'harmless': ('harmless',)}
BOTH = ('helpful', 'harmless')


def real_accuracy_vs_pairs(canvas, tables):
  """Accuracy by training pairs, over conversations, above the length rule.

  Bars are 95 % intervals over the conversations that are tested on, of all of
  which every model has one score; draws of the training pairs are averaged.
  """
  rows = select(tables, 'cross_pairs')
  models = [x for x in dict.fromkeys(rows['model']) if not is_share(x)]
  if not models:
    raise NotRunError('heads of shares alone')
  titles = [f'{model}: tested on {_own(model)}' for model in models]
  axes = canvas.panels(titles, 'training pairs', marks.ACCURACY, sharey=True)
  for axis, model in zip(axes, models, strict=True):
    own = rows[(rows['model'] == model)]
    own = own[own['subset'].isin(OWN.get(model, BOTH))]
    axis.set_xscale('log')
    parts = dict(list(own.groupby('pairs')))
    means = [_mean_of(x['right'], x['prompt_id']) for x in parts.values()]
    _bars(axis, list(parts), means)
    first = own[own['pairs'] == own['pairs'].max()]
    floor = length_rules.better_rule(first).mean()
    axis.axhline(floor, color='k', ls=':', lw=1, label='length rule')
    axis.axhline(0.5, color='0.6', ls='--', lw=1, label='chance')


def accuracy_by_turn(canvas, tables):
  """Accuracy by the exchange of the dialogue that is compared.

  Of the conditional head on all pairs; bars are 95 % intervals over
  conversations. An exchange of fewer than 30 pairs is left out. The paper finds
  the first one a little easier and the later ones alike.
  """
  pairs = crossed.pairs_of(tables, crossed.BROADEST)
  turns = crossed.turns_of(pairs)
  (axis,) = canvas.panels(
    [''], 'exchange of the dialogue (1 is the first)', marks.ACCURACY
  )
  parts = [pairs[pairs['turn'] == turn] for turn in turns]
  means = [_mean_of(cal.agreement(x), x['prompt_id']) for x in parts]
  _bars(axis, turns, means)
  axis.axhline(0.5, color='0.6', ls='--', lw=1, label='chance')
  axis.set_xticks(turns)


def _own(model):
  return {'helpful': 'helpful', 'harmless': 'harmless'}.get(model, 'both')


def _mean_of(right_N, group_N):
  """Mean accuracy of some pairs, with its interval over conversations."""
  right_N = np.asarray(right_N, float)
  (drawn,) = over.mean_draws(right_N[:, None], group_N).T
  return over.interval(right_N.mean(), drawn, math.inf)


def _bars(axis, x, means):
  """Points with their intervals, joined by a line."""
  y = [one.mean for one in means]
  below = [one.mean - one.low for one in means]
  above = [one.high - one.mean for one in means]
  axis.errorbar(x, y, [below, above], marker='o', ms=3, capsize=2, label='head')
