"""Claims on cross-fitted heads, whose unit is the conversation.

The claims and bounds are those of the papers' numbers; what differs from their
evaluators over seeds is where the interval comes from. The model of both kinds
is the conditional one, chosen before any of these pairs were scored by it.
"""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import calibration as cal
from rlhf_jax.analysis import conversations as over
from rlhf_jax.analysis import fits, shares
from rlhf_jax.analysis.findings import Finding, NotRunError, select
from rlhf_jax.analysis.mixtures import SHARE_OF_BEST

BROADEST = 'conditional'
CALIBRATED_T = (0.85, 1.15)
FLAT = (-0.01, 0.01)
MIN_POINTS = 5
MIN_TURN_PAIRS = 30
FEW = 200  # draws of a statistic that is dear


def pairs_of(tables, model, **where) -> pd.DataFrame:
  """Scored pairs of a model that was trained on all there are."""
  pairs = select(tables, 'cross_pairs', model=model, **where)
  pairs = pairs[pairs['pairs'] == pairs['pairs'].max()]
  return pairs.assign(p_label=math.nan)


def _units(pairs) -> int:
  return pairs['prompt_id'].nunique()


def curve_matrix(tables, model):
  """(pairs_D, right_ND, prompt_id_N) of a model's learning curve.

  `right` is that of one model, the mean over draws; pairs of a kind that the
  smaller models did not score are left out.
  """
  rows = select(tables, 'cross_pairs', model=model)
  wide = rows.pivot(index='pair_id', columns='pairs', values='right').dropna()
  groups = rows.drop_duplicates('pair_id').set_index('pair_id')['prompt_id']
  return wide.columns.to_numpy(float), wide.to_numpy(), groups[wide.index]


def _line(pairs_D, accuracy_D):
  """(slope on ln D, R2)."""
  fit = fits.line(np.log(pairs_D), accuracy_D)
  return fit.coefficient_K[1], fit.r2


def data_scaling(tables) -> Finding:
  """Claim 1: accuracy on ln D of the conditional head."""
  pairs_D, right_ND, group_N = curve_matrix(tables, BROADEST)
  if len(pairs_D) < MIN_POINTS:
    raise NotRunError(f'{len(pairs_D)} points; wanted {MIN_POINTS}')
  units = group_N.nunique()
  slope, r2 = _line(pairs_D, right_ND.mean(0))
  drawn = np.array(
    [_line(pairs_D, row_D) for row_D in over.mean_draws(right_ND, group_N)]
  )
  return Finding(
    [
      over.contrast('slope', slope, drawn[:, 0], '>', 0.0, units),
      over.contrast('r2', r2, drawn[:, 1], '>', 0.8, units),
    ],
    {
      f'accuracy_{int(n)}': float(x)
      for n, x in zip(pairs_D, right_ND.mean(0), strict=True)
    },
    f'{BROADEST} head, from {pairs_D.min():.0f} to {pairs_D.max():.0f} pairs',
  )


def _calibration(pairs):
  return dict(zip(('ece', 't'), cal.error_and_refit(pairs), strict=True))


def helpful_calibration(tables) -> Finding:
  """Claim 4: the helpful head on helpful pairs.

  Resampled pairs have their noise twice and the floor takes it off once, so the
  interval of the error is on the high side, which helps no pass.
  """
  pairs = pairs_of(tables, 'helpful', subset='helpful')
  found, units = cal.calibrate(pairs), _units(pairs)
  drawn = over.resampled(pairs, _calibration, 'prompt_id', FEW)
  excess_D = drawn['ece'] - found.floor
  return Finding(
    [
      over.contrast('ece_excess', found.excess, excess_D, '<', 0.02, units),
      over.contrast('t', found.t, drawn['t'], 'inside', CALIBRATED_T, units),
    ],
    {
      'ece': found.ece,
      'ece_floor': found.floor,
      'signed_gap': found.signed_gap,
      'pairs': len(pairs),
      'accuracy': cal.accuracy(pairs),
    },
    f'helpful head, {units} conversations',
  )


def high_score_accuracy(tables) -> Finding:
  """Claim 6: accuracy against the threshold on the smaller score."""
  pairs = pairs_of(tables, BROADEST)
  smaller_N = pairs[['score_chosen', 'score_rejected']].min(axis=1).to_numpy()
  right_N1 = cal.agreement(pairs)[:, None]

  def accuracy(rows):
    return cal.above_quantiles(smaller_N[rows], right_N1[rows])[0][:, 0]

  rank = lambda accuracy_Q: fits.spearman(cal.QUANTILES, accuracy_Q)
  every = np.arange(len(pairs))
  drawn = [
    rank(accuracy(np.repeat(every, count_N)))
    for count_N in over.counts(pairs['prompt_id'])
  ]
  accuracy_Q = accuracy(every)
  value, units = rank(accuracy_Q), _units(pairs)
  return Finding(
    [over.contrast('spearman', value, drawn, '<', -0.8, units)],
    {
      f'accuracy_q{quantile:.1f}': float(x)
      for quantile, x in zip(cal.QUANTILES, accuracy_Q, strict=True)
    },
    f'{BROADEST} head',
  )


def turns_of(pairs) -> list[int]:
  """The exchanges that enough pairs compare.

  Raises:
    NotRunError: if these are not the first and two later ones.
  """
  sizes = pairs.groupby('turn').size()
  turns = sorted(sizes[sizes >= MIN_TURN_PAIRS].index)
  if turns[:1] != [1] or len(turns) < 3:
    raise NotRunError('wanted pairs of the first and of two later turns')
  return turns


def turn_accuracy(tables) -> Finding:
  """Claim 7: the first exchange against later ones."""
  pairs = pairs_of(tables, BROADEST)
  turns = turns_of(pairs)
  turn_N, right_N = pairs['turn'].to_numpy(), cal.agreement(pairs)
  is_later_N = np.isin(turn_N, turns[1:])
  # A column a group of pairs, NaN where a pair is not of it.
  masks = [turn_N == 1, is_later_N, *(turn_N == turn for turn in turns[1:])]
  group_NM = np.stack([np.where(m, right_N, math.nan) for m in masks], 1)
  slope = lambda mean_M: np.polyfit(turns[1:], mean_M[2:], 1)[0]
  mean_M = np.nanmean(group_NM, 0)
  draw_DM = over.mean_draws(group_NM, pairs['prompt_id'])
  units, gap_D = _units(pairs), draw_DM[:, 0] - draw_DM[:, 1]
  slope_D = [slope(row_M) for row_M in draw_DM]
  gap = mean_M[0] - mean_M[1]
  return Finding(
    [
      over.contrast('first_minus_later', gap, gap_D, '>', 0.0, units),
      over.contrast(
        'later_slope', slope(mean_M), slope_D, 'inside', FLAT, units
      ),
    ],
    {
      f'accuracy_turn{t}': float(m)
      for t, m in zip(turns, mean_M[[0, *range(2, len(mean_M))]], strict=True)
    },
    f'{BROADEST} head',
  )


def cross_accuracy(tables) -> Finding:
  """Claim 37: each single-objective head on the other objective."""
  contrasts, measured = [], {}
  for train, other in (('helpful', 'harmless'), ('harmless', 'helpful')):
    for subset in (other, train):
      pairs = pairs_of(tables, train, subset=subset)
      right_N = cal.agreement(pairs)
      name, value = f'{train}_on_{subset}', float(right_N.mean())
      if subset == train:
        measured[name] = value
        continue
      (drawn,) = over.mean_draws(right_N[:, None], pairs['prompt_id']).T
      contrasts.append(
        over.contrast(name, value, drawn, '<', 0.5, _units(pairs))
      )
  return Finding(contrasts, measured)


def mixture_serves_both(tables) -> Finding:
  """Claim 38: heads of equal shares beside those of either kind alone.

    room      accuracy - 95 % of that of the specialist of the kind
    nearness  accuracy - mean of both specialists on the kind

  Over seeds, each takes the mixture that the others favour. Here there are no
  others: the mixture is that of equal shares, which was named beforehand.
  """
  table = shares.right_table(select(tables, 'cross_pairs'))
  wanted = [shares.EQUAL, *shares.SPECIALIST.values()]
  lacking = [share for share in wanted if share not in table]
  if lacking:
    raise NotRunError(f'no heads of the share {lacking[0]}')
  contrasts, measured = [], {}
  for kind, best in shares.SPECIALIST.items():
    own = table[table['subset'] == kind]
    units = own['prompt_id'].nunique()
    drawn = over.mean_draws(own[wanted], own['prompt_id']).T
    (room, near), (room_D, near_D) = (
      _beside(dict(zip(wanted, x, strict=True)), best)
      for x in (own[wanted].mean(), drawn)
    )
    contrasts += [
      over.contrast(f'{kind}_room', room, room_D, '>', 0.0, units),
      over.contrast(f'{kind}_nearness', near, near_D, '>', 0.0, units),
    ]
    for share in wanted:
      name = f'{kind}_at_{share.partition("/")[0]}'
      measured[name] = float(own[share].mean())
  return Finding(
    contrasts,
    measured,
    f'accuracy - {SHARE_OF_BEST:g} of the specialist; equal shares',
  )


def _beside(accuracy, best):
  """(room, nearness) of equal shares, of {share: accuracy}."""
  level, both = accuracy[shares.EQUAL], [*shares.SPECIALIST.values()]
  middle = sum(accuracy[share] for share in both) / len(both)
  return level - SHARE_OF_BEST * accuracy[best], level - middle
