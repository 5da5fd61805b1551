"""From rewards and divergences of all seeds to differences and a verdict.

The rule, fixed before any run of the committed seeds: at every checkpoint the
mean reward and the mean KL of both sides are compared, and at GRID values of
sqrt(KL) that all runs pass the reward gained there. The intervals are those of
Welch's t over seeds, at a level such that all of them hold together with 95 %
(Bonferroni). Then

    differ        some interval leaves out 0
    agree         all hold 0, and at equal sqrt(KL) none reaches beyond
                  MARGIN of the reward that both gain on the way
    inconclusive  all hold 0, but one of those is wider: more seeds are needed
"""

import numpy as np

from rlhf_jax.analysis.intervals import difference_interval

LEVEL, GRID, MARGIN = 0.95, 4, 0.1
AGREE, DIFFER, INCONCLUSIVE = 'agree', 'differ', 'inconclusive'
OURS, THEIRS = 'ours', 'theirs'


def curves(points, side):
  """{seed: (sqrt_kl_N, reward_N)} of a side, in the order of iterations."""
  found = {}
  for point in sorted(points, key=lambda p: p['iteration']):
    if point['side'] == side:
      found.setdefault(point['seed'], []).append(
        (max(point['kl'], 0.0) ** 0.5, point['reward'])
      )
  return {seed: np.array(pairs).T for seed, pairs in found.items()}


def reward_at(curve, sqrt_kl, first_reward):
  """Reward of a run at a divergence, by straight lines between checkpoints.

  Args:
    curve: (sqrt_kl_N, reward_N), in the order of iterations; a checkpoint whose
      divergence is not above that of all before it is left out.
    sqrt_kl: where; from 0 to the largest one.
    first_reward: of pi_0, at 0.
  """
  kl_N = np.concatenate([[0.0], curve[0]])
  reward_N = np.concatenate([[first_reward], curve[1]])
  above_N = kl_N[1:] > np.maximum.accumulate(kl_N)[:-1]
  keep_N = np.concatenate([[True], above_N])
  return float(np.interp(sqrt_kl, kl_N[keep_N], reward_N[keep_N]))


def grid_of(points):
  """GRID values of sqrt(KL) that all runs pass, in equal steps from 0."""
  ends = [
    curve[0].max()
    for side in (OURS, THEIRS)
    for curve in curves(points, side).values()
  ]
  return [min(ends) * (i + 1) / GRID for i in range(GRID)]


def compare(points, first_reward):
  """Every difference, ours less theirs, with its interval.

  Args:
    points: [{'side', 'seed', 'iteration', 'reward', 'kl'}].
    first_reward: of pi_0, where both begin.

  Returns:
    {'rows': [{'what', 'at', 'ours', 'theirs', 'difference', 'low', 'high'}],
    'level': of each interval, 'gain': reward gained up to the last value of
    the grid, 'reach': the largest |bound| at equal sqrt(KL) as a share of it,
    'verdict'}.
  """
  iterations = sorted({point['iteration'] for point in points})
  at_grid = grid_of(points)
  level = 1 - (1 - LEVEL) / (2 * len(iterations) + len(at_grid))
  rows = []
  for what in ('reward', 'kl'):
    for iteration in iterations:
      sides = [
        [
          point[what]
          for point in points
          if (point['side'], point['iteration']) == (side, iteration)
        ]
        for side in (OURS, THEIRS)
      ]
      rows.append(_row(what, iteration, *sides, level))
  for sqrt_kl in at_grid:
    sides = [
      [
        reward_at(curve, sqrt_kl, first_reward)
        for curve in curves(points, side).values()
      ]
      for side in (OURS, THEIRS)
    ]
    rows.append(_row('reward at sqrt(KL)', sqrt_kl, *sides, level))
  last = rows[-1]
  gain = (last['ours'] + last['theirs']) / 2 - first_reward
  return {
    'rows': rows,
    'level': level,
    'gain': gain,
    **judge(rows, gain),
  }


def _row(what, at, ours, theirs, level):
  found = difference_interval(ours, theirs, level)
  return {
    'what': what,
    'at': at,
    'ours': float(np.mean(ours)),
    'theirs': float(np.mean(theirs)),
    'difference': found.mean,
    'low': found.low,
    'high': found.high,
  }


def judge(rows, gain):
  """{'reach', 'verdict'} of the rows, by the rule of this module."""
  reach = max(
    max(abs(row['low']), abs(row['high'])) / abs(gain)
    for row in rows
    if row['what'] == 'reward at sqrt(KL)'
  )
  if any(row['low'] > 0 or row['high'] < 0 for row in rows):
    return {'reach': reach, 'verdict': DIFFER}
  return {'reach': reach, 'verdict': AGREE if reach <= MARGIN else INCONCLUSIVE}
