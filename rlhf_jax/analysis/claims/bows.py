"""Claims 66 and 67: policies beside what pi_0 allows. They are our own."""

import itertools
import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis import bounded, bows
from rlhf_jax.analysis.claims.spec import OURS, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.frontier import frontier_and_policies
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  keep,
  means_by_size,
  select,
  sizes,
)
from rlhf_jax.analysis.intervals import Contrast, Interval

RUN = ['role', 'size', 'half', 'seed']
COMBINATION = ['world', 'pm', 'subset']
KINDS = ['helpful', 'harmless']
EDGE = ['world', 'pm', 'n_params', 'kl', 'gain']
CHECKPOINT = ['samples', 'kl', 'kl_se', 'train_gain']
MIN_COMBINATIONS = 6
BENT, STRAIGHT = -0.05, 0.02
SAME_SHAPE = (0.5, 1.5)
SAME_SHARE = (0.9, 1.1)


def identity(frame: pd.DataFrame) -> list[str]:
  """Columns that tell runs apart: of joined studies, the study as well."""
  return [c for c in ('study', *RUN) if c in frame]


def measured_bows(tables) -> pd.DataFrame:
  """Bows of every run that has its frontier, on each kind of prompts.

  Returns:
    Rows of run columns, world, pm, subset; bow and frontier_bow, both NaN
    where the window is too short.
  """
  curve = select(tables, 'rl_subsets', subset=KINDS)
  edges = select(tables, 'frontier', scorer='train', subset=KINDS)
  keys = [*identity(edges), 'subset']
  edges, rows = dict(list(edges[[*keys, *EDGE]].groupby(keys))), []
  for key, run in curve[[*keys, *CHECKPOINT]].groupby(keys):
    if key not in edges:
      continue
    edge = edges[key]
    bow, frontier_bow = bows.matched_bows(run, 'train_gain', edge)
    row = dict(zip(keys, key, strict=True))
    row |= edge.iloc[0][['world', 'pm', 'n_params']].to_dict()
    rows.append(row | {'bow': bow, 'frontier_bow': frontier_bow})
  if not rows:
    raise NotRunError('no run of rl_subsets.csv has its rows in frontier.csv')
  return pd.DataFrame(rows)


def same_shape(tables) -> Finding:
  """Claim 66: the slope of a policy's bow on that of its frontier.

  Runs of one seed, world, train PM and kind of prompts are averaged (policies
  of several sizes, both halves); a combination counts where every seed has it.
  """
  rows = measured_bows(tables)
  table = rows.pivot_table(
    index='seed',
    columns=COMBINATION,
    values=['bow', 'frontier_bow'],
    aggfunc=lambda v: v.mean(skipna=False),
    dropna=False,
  )
  y_SC, x_SC = table['bow'], table['frontier_bow']
  some_C = (x_SC.notna() & y_SC.notna()).any().to_numpy()
  whole_C = (x_SC.notna() & y_SC.notna()).all().to_numpy()
  short = int((some_C & ~whole_C).sum())
  x_C = x_SC.loc[:, whole_C].mean().to_numpy()
  y_SC = y_SC.loc[:, whole_C].to_numpy()
  lacking = _lacking(x_C)
  if len(x_C) < 2:
    raise NotRunError(lacking)
  slope_S = bows.slopes_of(y_SC, x_C)
  found = contrast('slope', slope_S, 'inside', SAME_SHAPE)
  if lacking:  # of too few frontiers a slope says nothing, wherever it lies
    nothing = Interval(found.interval.mean, math.nan, math.nan, len(slope_S))
    found = Contrast(found.name, nothing, found.bound, found.side)
  mean_C = y_SC.mean(0)
  parts = [lacking, f'{short} combinations lack a seed' if short else '']
  return Finding(
    [found],
    {
      'combinations': float(len(x_C)),
      'frontier_bow_min': float(x_C.min()),
      'frontier_bow_max': float(x_C.max()),
      'bow_min': float(mean_C.min()),
      'bow_max': float(mean_C.max()),
      'offset': float(mean_C.mean() - found.interval.mean * x_C.mean()),
    },
    '; '.join(filter(None, parts)),
  )


def _lacking(x_C):
  """Why these bows of frontiers cannot tell; '' if they can."""
  if len(x_C) < MIN_COMBINATIONS:
    return (
      f'{len(x_C)} combinations of world, PM and kind of prompt have a window '
      f'in every seed; wanted {MIN_COMBINATIONS}'
    )
  if x_C.min() >= BENT:
    return f'no frontier has a bow below {BENT}: they reach {x_C.min():.3f}'
  if np.abs(x_C).min() > STRAIGHT:
    return (
      f'no frontier has a bow within {STRAIGHT} of 0: the straightest has '
      f'{x_C[np.abs(x_C).argmin()]:.3f}'
    )
  return ''


def efficiencies(tables) -> pd.DataFrame:
  """Efficiency of every linear run, with its run columns; NaN if too short."""
  curve = select(tables, 'rl_curve', role='linear')
  pi0 = select(tables, 'rl_pi0', role='linear', scorer='train')
  edges = select(
    tables, 'frontier', role='linear', scorer='train', subset='all'
  )
  keys, rows = identity(edges), []
  for key, run in curve.groupby(keys):
    own = dict(zip(keys, key, strict=True))
    edge = keep(edges, 'frontier.csv', **own)
    start = keep(pi0, 'rl_pi0.csv', **own)['mean'].mean()
    share = bows.efficiency(run['kl'], run['train_pm'] - start, edge)
    own |= {'n_params': run['n_params'].iloc[0], 'efficiency': share}
    rows.append(own)
  return pd.DataFrame(rows)


def same_efficiency(tables) -> Finding:
  """Claim 67: the ratio of efficiencies of every two policy sizes."""
  rows = efficiencies(tables)
  order = sizes(rows)
  if len(order) < 2:
    raise NotRunError('one policy size; wanted another to compare')
  table = rows.pivot_table(
    index='seed',
    columns='size',
    values='efficiency',
    aggfunc=lambda v: v.mean(skipna=False),
    dropna=False,
  )
  contrasts = [
    contrast(
      f'efficiency_{large}_over_{small}',
      _ratio(table[large], table[small]),
      'inside',
      SAME_SHARE,
      bounded.log_mean,
    )
    for small, large in itertools.combinations(order, 2)
  ]
  short = int(rows['efficiency'].isna().sum())
  note = f'{short} of {len(rows)} policies or frontiers leave sqrt(KL) in '
  return Finding(
    contrasts,
    means_by_size(rows, 'efficiency'),
    f'{note}{list(bows.RANGE)} uncovered' if short else '',
  )


def _ratio(over, under):
  """Ratios above 0; NaN where one of them is not."""
  ratio = over / under
  return ratio.where((over > 0) & (under > 0))


LABELS = {
  'world': 'simulated world of the study, or source of its data',
  'pm': 'train PM of the run: size, kind of pairs, number of pairs',
  'scorer': '`train` or `test` PM, or `gold`',
  'subset': 'kind of prompts: `all`, `helpful` or `harmless`',
  'n_prompts': 'held-out prompts',
  'n_replies': 'replies of pi_0 to each',
}
FRONTIER = Table(
  name='frontier',
  meaning='what pi_0 exp(b r) gains by one scorer r, from replies of pi_0; the '
  'run columns but for `run_id` are those of the RL run that it is for',
  columns=LABELS
  | {
    'b': 'inverse temperature of the tilt, one for all prompts',
    'log_mgf': 'mean over prompts of log E exp(b (r - mean of the prompt))',
    'gain': 'mean score of the tilted policy less that of pi_0',
    'kl': 'KL(tilted || pi_0), nats per reply',
    'ess': 'effective number of replies to a prompt under the tilt, its mean',
  },
  text=('scorer', 'subset', 'world', 'pm'),
)
THEME = Theme(
  title='What pi_0 allows',
  claims=(
    ClaimSpec(
      66,
      "A policy's bow is its frontier's",
      'Where reward against sqrt(KL) bends under PPO, the best that any policy '
      'can do from the same pi_0 bends as much.',
      OURS,
      'slope of the bow of PPO on that of the frontier over the same window '
      'inside [0.5, 1.5]; >= 6 combinations of world, train PM and kind of '
      'prompt, one frontier bow < -0.05 and one within 0.02 of 0',
      same_shape,
      tables=('rl_subsets', 'frontier'),
      figure='frontier_and_policies',
      pm_role='rl',
    ),
    ClaimSpec(
      67,
      'Policies of all sizes are as efficient',
      "PPO's gain over that of the frontier at the same KL is the same for all "
      'policy sizes.',
      OURS,
      'ratio of the efficiencies of every two sizes inside [0.9, 1.1] (on a '
      'log scale), over sqrt(KL) in [0.5, 1.5]',
      same_efficiency,
      tables=('rl_curve', 'rl_pi0', 'frontier'),
      figure='frontier_and_policies',
      pm_role='rl',
    ),
  ),
  tables=(FRONTIER,),
  drawings=(frontier_and_policies,),
  roles={
    'helpful_pm': 'a short run of the smallest policy under the helpful-only '
    'PM of role single, for its bow',
    'harmless_pm': 'the same under the harmless-only one',
  },
)
