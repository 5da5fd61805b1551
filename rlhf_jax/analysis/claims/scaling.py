"""Claims 1 and 2: PM accuracy against data and size (Bai et al., 3.2)."""

import numpy as np

from rlhf_jax.analysis import bounded, crossed, fits, scaling
from rlhf_jax.analysis.claims.spec import (
  BAI,
  ClaimSpec,
  OnConversations,
  Table,
  Theme,
)
from rlhf_jax.analysis.drawings.scaling import (
  pm_accuracy_vs_pairs,
  pm_accuracy_vs_size,
)
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  keep,
  largest,
  select,
  sizes,
)

MIN_DATA_POINTS = 5
MIN_SIZES = 4


def _own_curve(tables, subset=None):
  """Learning curves at constant rate, tested on what they were trained on.

  On the mixture if it is there, else on the first subset in order of name.
  """
  curve = select(tables, 'pm_curve', role='scaling', schedule='constant')
  curve = curve[curve['train_subset'] == curve['eval_subset']]
  if subset is None:
    there = sorted(set(curve['train_subset']))
    subset = 'mix' if 'mix' in there else (there or ['mix'])[0]
  return keep(curve, 'pm_curve.csv', train_subset=subset, eval_subset=subset)


def data_scaling(tables) -> Finding:
  """Claim 1: accuracy on ln D at the largest size."""
  curve = scaling.mean_over_halves(largest(_own_curve(tables)))
  curve = curve[curve['pairs'] > 0]
  points = curve.groupby('seed')['pairs'].nunique().min()
  if not points >= MIN_DATA_POINTS:
    raise NotRunError(
      f'{points} points on the learning curve; wanted {MIN_DATA_POINTS}'
    )
  found = [scaling.data_fit(group) for _, group in curve.groupby('seed')]
  final = curve[curve['pairs'] == curve['pairs'].max()]
  return Finding(
    [
      contrast('slope', [fit.coefficient_K[1] for fit in found], '>', 0.0),
      contrast('r2', [fit.r2 for fit in found], '>', 0.8, bounded.fisher),
    ],
    {
      'points': int(points),
      'final_accuracy': float(final[scaling.accuracy_column(final)].mean()),
    },
  )


def size_scaling(tables) -> Finding:
  """Claim 2: accuracy on ln P at the largest D that all sizes have seen."""
  curve = scaling.mean_over_halves(_own_curve(tables))
  n_sizes = curve['size'].nunique()
  if n_sizes < MIN_SIZES:
    raise NotRunError(f'{n_sizes} sizes; wanted {MIN_SIZES}')
  at = curve[curve['pairs'] == scaling.common_pairs(curve)]
  found = [group for _, group in at.groupby('seed')]
  if not found or min(map(len, found)) < n_sizes:
    raise NotRunError('no number of pairs was tested at every size and seed')
  column = scaling.accuracy_column(at)
  mean = at.groupby('n_params')[column].mean()
  by_size = {
    f'accuracy_{size}': float(at[at['size'] == size][column].mean())
    for size in sizes(at)
  }
  slopes = [scaling.size_fit(group).coefficient_K[1] for group in found]
  ranks = [scaling.size_spearman(group) for group in found]
  ranked = bounded.meets(ranks, '>=', 0.8)
  return Finding(
    [
      contrast('slope', slopes, '>', 0.0),
      contrast('share_ranked', ranked, '>', 0.5, bounded.share),
    ],
    {
      'spearman': float(np.mean(ranks)),
      'spearman_of_mean': fits.spearman(mean.index, mean.to_numpy()),
      'pairs': float(at['pairs'].iloc[0]),
      **by_size,
    },
  )


PM_CURVE = Table(
  name='pm_curve',
  meaning='a test of a PM during or after its training',
  columns={
    'train_subset': 'kind of pair it is trained on: `mix`, `helpful` or '
    '`harmless`',
    'schedule': 'of the learning rate: `constant` or `decay`',
    'pairs': 'training pairs seen so far',
    'eval_subset': 'kind of pair it is tested on',
    'accuracy': 'share of pairs whose preferred reply scores higher',
    'expected_accuracy': 'the same against the true label probabilities; NaN '
    'on real data',
    'n_eval': 'pairs of the test',
  },
  text=('train_subset', 'schedule', 'eval_subset'),
)

THEME = Theme(
  title='Accuracy of preference models against data and size',
  claims=(
    ClaimSpec(
      1,
      'PM accuracy grows with log data',
      'Test accuracy of a preference model rises linearly in ln D.',
      f'{BAI}, Fig. 7 left',
      'slope on ln D > 0 and R2 > 0.8 (by Fisher z), >= 5 points, one epoch, '
      'fixed rate',
      data_scaling,
      tables=('pm_curve',),
      figure='pm_accuracy_vs_pairs',
      crossed=OnConversations(
        crossed.data_scaling,
        'slope on ln D > 0 and R2 > 0.8, >= 5 points, conditional head on all '
        'pairs (bootstrap over conversations)',
      ),
    ),
    ClaimSpec(
      2,
      'PM accuracy grows with log size',
      'At the largest D, test accuracy rises with ln P over the ladder.',
      f'{BAI}, Fig. 7 right',
      'slope on ln P > 0; more than half of all seeds have Spearman >= 0.8 '
      'over >= 4 sizes (exact interval of their share)',
      size_scaling,
      min_seeds=6,  # of which all meet the bound: fewer cannot pass
      tables=('pm_curve',),
      figure='pm_accuracy_vs_size',
    ),
  ),
  tables=(PM_CURVE,),
  drawings=(pm_accuracy_vs_pairs, pm_accuracy_vs_size),
  roles={
    'scaling': 'a PM at a constant rate, half a, tested along its training; '
    'the largest one is also the train PM of the linear RL runs',
  },
)
