"""Claims 21 to 23, 26: sizes of PMs, passes of PPO (Bai et al., 4.2, B.1)."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import mixtures, pm_sizes
from rlhf_jax.analysis.claims.bows import LABELS
from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.scans import (
  inner_passes,
  test_pm_by_policy_size,
)
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  contrasts_by_size,
  keep,
  select,
)

LONG_RUNS = ('robust', 'under_')
SIZES_WANTED = 3
SHARED, OWN = 'judged_shared', 'judged_own'


def by_pm_size(tables) -> pd.DataFrame:
  """Gap over gain at equal gain, and divergence, of each PM size and seed.

  The gain of a seed is the largest that the runs under all PM sizes reach.
  """
  curve = select(tables, 'rl_curve')
  curve = curve[curve['role'].str.startswith(LONG_RUNS)]
  gaps = pm_sizes.gaps_by_size(keep(curve, 'rl_curve.csv of long runs'))
  known = select(tables, 'pm_curve').groupby('size')['n_params'].min()
  rows = []
  for seed, own in gaps.groupby('seed'):
    equal = own.groupby('pm_size')['train_gain'].max().min()
    for size, pair in own.groupby('pm_size'):
      row = {'seed': seed, 'size': size, 'n_params': known.get(size, np.nan)}
      row['gap_per_gain'] = pm_sizes.gap_at(pair, equal)
      rows.append(row | {'diverged_at': pm_sizes.diverged_at(pair)})
  if not rows:
    raise NotRunError('no PM pair was run in both directions (half a and b)')
  return pd.DataFrame(rows)


def large_pms_last(tables) -> Finding:
  """Claim 21: slopes of both on ln PM size."""
  rows = by_pm_size(tables)
  if rows['size'].nunique() < SIZES_WANTED:
    raise NotRunError(
      f'train PMs of {rows["size"].nunique()} sizes; wanted {SIZES_WANTED}'
    )
  names = {'gap_per_gain': '<', 'diverged_at': '>'}
  contrasts = [
    contrast(
      f'{name}_slope',
      [mixtures.slope_on_size(own, name) for _, own in rows.groupby('seed')],
      side,
      0.0,
    )
    for name, side in names.items()
  ]
  means = rows.groupby('size')[list(names)].mean()
  measured = {
    f'{name}_{size}': float(means.loc[size, name])
    for name in names
    for size in means.index
  }
  return Finding(
    contrasts, measured, 'gap over gain at the gain that all PM sizes reach'
  )


def judged(tables, role) -> pd.DataFrame:
  """Mean scores of final policies, a row a policy and test PM."""
  rows = select(tables, 'scored', role=role, subset='all')
  return keep(rows[rows['pm_params'] > 0], 'scored.csv by a PM', role=role)


def large_tests_discriminate(tables) -> Finding:
  """Claim 22: the slope on ln policy size, as a function of ln test-PM size."""
  rows = judged(tables, SHARED)
  for name, found in (
    ('policies', rows['n_params'].nunique()),
    ('test PMs', rows['pm_params'].nunique()),
  ):
    if found < SIZES_WANTED:
      raise NotRunError(f'{name} of {found} sizes; wanted {SIZES_WANTED}')
  slope = rows.groupby(['seed', 'pm_params']).apply(
    lambda own: mixtures.slope_on_size(own, 'mean'), include_groups=False
  )
  by_pm = slope.rename('slope').reset_index()
  by_pm = by_pm.rename(columns={'pm_params': 'n_params'})
  change = [
    mixtures.slope_on_size(own, 'slope') for _, own in by_pm.groupby('seed')
  ]
  measured = {
    f'slope_{pm:.0f}': float(own.mean())
    for pm, own in slope.groupby(level='pm_params')
  }
  return Finding(
    [contrast('change_of_slope', change, '>', 0.0)],
    measured,
    'slope of the test-PM score on ln policy size, by parameters of the PM',
  )


def small_pms_make_poor_policies(tables) -> Finding:
  """Claim 23: policies under PMs of their own size less those under the top."""
  both = {role: judged(tables, role) for role in (OWN, SHARED)}
  keys, top = ['seed', 'size', 'n_params'], both[SHARED]['pm_params'].max()
  mean = {
    role: keep(rows, 'scored.csv', pm_params=top).groupby(keys)['mean'].mean()
    for role, rows in both.items()
  }
  rows = (mean[OWN] - mean[SHARED]).dropna().rename('difference').reset_index()
  rows = keep(rows, 'policies of one size under both PMs')
  return Finding(
    contrasts_by_size(rows, 'difference', '<', 0.0),
    {},
    'score by the largest test PM, log-odds',
  )


def passes(tables) -> Finding:
  """Claim 26: log variance ratio of the final gain over seeds, K = 4 to 1.

  Beside it the shares of runs that end below pi_0, and K = 2 to 1.
  """
  gain = pm_sizes.gains_by_passes(tables)
  ratio = {k: pm_sizes.jackknife_log_ratio(gain[k], gain[1]) for k in (2, 4)}
  measured = {'log_variance_ratio_2_over_1': float(np.mean(ratio[2]))}
  for k, role in pm_sizes.PASSES.items():
    own = pm_sizes.final_gains(tables, role)
    measured[f'gain_{k}'] = float(own['gain'].mean())
    measured[f'sd_{k}'] = float(own['gain'].std(ddof=1))
    measured[f'crash_rate_{k}'] = float((own['gain'] < 0).mean())
  return Finding(
    [contrast('log_variance_ratio_4_over_1', ratio[4], '<', 0.0)],
    measured,
    'exploratory; every seed has a train PM of its own, whose part all numbers '
    'of passes share; a crash ends below pi_0',
  )


SCORED = Table(
  name='scored',
  meaning='replies of a policy by one scorer; the size is that of the policy',
  columns={
    'world': LABELS['world'],
    'pm': 'the scorer: size, kind of pairs, number of pairs; or `gold`',
    'pm_params': 'its parameters without embeddings; 0: gold',
    'pm_pairs': 'its training pairs; 0: all, or gold',
    'subset': LABELS['subset'],
    'n_prompts': LABELS['n_prompts'],
    'n_replies': 'to each',
    'mean': 'score',
    'se': 'its standard error over prompts',
    'median': 'of all replies',
    'negative': 'share of replies with a score below 0',
  },
  text=('world', 'pm', 'subset'),
)

THEME = Theme(
  title='Sizes of train and test PM, and passes of PPO',
  claims=(
    ClaimSpec(
      21,
      'Larger PMs are more robust',
      'A larger train PM has a smaller gap at equal train gain and lasts '
      'longer before it diverges.',
      f'{BAI}, section 4.2',
      'slopes on ln PM size over >= 3 sizes: gap / gain at the gain that all '
      'reach < 0; share of samples from which the gap exceeds 10 % of the gain '
      '> 0',
      large_pms_last,
      tables=('rl_curve', 'pm_curve'),
      figure='gap_vs_samples',
      pm_role='robust',
    ),
    ClaimSpec(
      22,
      'Larger test PMs discriminate more',
      'The slope of the test-PM score on log policy size grows with the size '
      'of the test PM.',
      f'{BAI}, Fig. 33',
      'change of slope with ln test-PM size > 0, over >= 3 sizes of both',
      large_tests_discriminate,
      tables=('scored',),
      figure='test_pm_by_policy_size',
      pm_role='rl',
    ),
    ClaimSpec(
      23,
      'Small train PMs make poor policies',
      'Trained against a small PM, a policy is rated below its equal trained '
      'against the largest PM, by the largest PM.',
      f'{BAI}, Fig. 13',
      'difference of the largest test PM score < 0 at every policy size, '
      'policies under a PM of their own size less those under the largest',
      small_pms_make_poor_policies,
      tables=('scored',),
      figure='test_pm_by_policy_size',
      pm_role='rl',
    ),
    ClaimSpec(
      26,
      'More inner passes are steadier',
      'K = 1, 2, 4 PPO passes a batch: more give less variance between runs.',
      f'{BAI}, App. B.1',
      'log variance ratio of the final train gain over seeds, K = 4 to K = 1, '
      '< 0 by the jackknife (exploratory)',
      passes,
      tables=('rl_curve',),
      figure='inner_passes',
      pm_role='rl',
    ),
  ),
  tables=(SCORED,),
  drawings=(test_pm_by_policy_size, inner_passes),
  roles={
    'test': 'a PM as of role rl and of a smaller size',
    'own': 'a policy under a train PM of its own size, otherwise as of linear',
    'passes_1': 'the smallest policy as of linear, one pass over its samples',
    'passes_4': 'the same with four passes',
    'judged_shared': 'replies of final policies of role linear, scored by test '
    'PMs of all sizes',
    'judged_own': 'the same of role own',
  },
)
