"""Claims 44 to 48: harmful prompts as outliers (Bai et al., 5.4, B.9)."""

from functools import partial

import numpy as np
import pandas as pd

from rlhf_jax.analysis import bounded, fits, ood
from rlhf_jax.analysis import outlier_rows as rows_of
from rlhf_jax.analysis.claims.spec import (
  BAI,
  ClaimSpec,
  OnConversations,
  Table,
  Theme,
)
from rlhf_jax.analysis.drawings.ood import outlier_exposure, outlier_layers
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  by_size,
  contrast,
  contrasts_by_size,
  keep,
  largest,
  select,
  sizes,
)
from rlhf_jax.analysis.intervals import Contrast, exact

SHOWN = 10  # outliers
SHARE = 0.9  # of the cells
WORSE = -0.02
ROTATED, SHUFFLED = 1e-4, 0.01
MIN_SIZES = 3
ALONE = 'ood_base'  # role of a model of which there is one
# Of a difference of two areas, over seeds.
over_seeds = partial(bounded.bootstrap_mean, bounds=(-1.0, 1.0))


def _relative_is_better(cells, n, rows) -> Finding:
  found = rows_of.share_of_cells(cells, n)
  plain = rows['auroc'] - rows['over_plain']
  return Finding(
    [Contrast('share_of_cells', found, SHARE, '>=')],
    {
      'cells': float(len(cells)),
      'smallest_difference': min(cell.mean for cell in cells),
      'auroc_simplified': float(rows['auroc'].mean()),
      'auroc_plain': float(plain.mean()),
    },
  )


def relative_is_better(tables) -> Finding:
  """Claim 44: the difference in every cell of layer and size, over seeds."""
  rows = rows_of.by_layer(tables)
  groups = [own for _, own in rows.groupby(['n_params', 'layer'])]
  level = rows_of.level_of(len(groups))
  cells = [
    over_seeds(own.groupby('seed')['over_plain'].mean(), level=level)
    for own in groups
  ]
  return _relative_is_better(cells, min(cell.n for cell in cells), rows)


def relative_is_better_over_prompts(tables) -> Finding:
  """Claim 44 on one model: the difference at every layer, over prompts."""
  rows = rows_of.by_layer(tables, role=ALONE)
  level = rows_of.level_of(len(rows))
  cells = [
    rows_of.over_prompts(x, 'over_plain', level) for _, x in rows.iterrows()
  ]
  return _relative_is_better(cells, 1, rows)


def grows_with_size(tables) -> Finding:
  """Claim 45: the best AUROC on ln P by seed; the best layer of deep models."""
  rows = rows_of.by_layer(tables)
  if len(sizes(rows)) < MIN_SIZES:
    raise NotRunError(f'{len(sizes(rows))} sizes; wanted {MIN_SIZES}')
  best = rows_of.per_model(rows, rows_of.best_of_layers)
  slopes = [
    fits.line(np.log(best.columns.to_numpy()), own).coefficient_K[1]
    for own in best.to_numpy()
  ]
  deep = keep(rows[rows['layers'] >= ood.DEEP], f'models of {ood.DEEP} layers')
  middle = rows_of.per_model(deep, rows_of.best_in_the_middle).min(
    axis=1, skipna=False
  )
  return Finding(
    [
      contrast('slope', slopes, '>', 0.0),
      contrast('best_in_middle_half', middle, '>', 0.5, bounded.share),
    ],
    {
      f'auroc_{size}': float(best[params].mean())
      for size, params in zip(sizes(rows), sorted(best.columns), strict=True)
    },
  )


def _means(rows):
  return {
    f'auroc_{size}_of_{count:g}_shown': float(own['auroc'].mean())
    for size, part in by_size(rows)
    for count, own in part.groupby('outliers')
  }


def outliers_help(tables) -> Finding:
  """Claim 46: ten outliers above the best distance; ranks of their number."""
  rows = rows_of.shown(tables)
  ten = keep(rows, 'ood_exposure.csv', outliers=SHOWN)
  ranks = {
    keys: fits.spearman(own['outliers'], own['auroc'])
    for keys, own in rows.groupby(['seed', 'size'])
  }
  ranks = pd.Series(ranks).unstack().mean(axis=1, skipna=False)
  return Finding(
    [
      *contrasts_by_size(ten, 'over_best', '>', 0.0, over_seeds),
      contrast('spearman', ranks, '>', 0.0, over_seeds),
    ],
    _means(rows),
  )


def outliers_help_over_prompts(tables) -> Finding:
  """Claim 46 on one model, over prompts and over which outliers are shown."""
  rows = rows_of.shown(tables, role=ALONE)
  ten = keep(rows, 'ood_exposure.csv', outliers=SHOWN)
  most = rows[rows['outliers'] == rows['outliers'].max()]
  one = lambda part, column: rows_of.over_prompts(part.iloc[0], column)
  return Finding(
    [
      Contrast('over_best', one(ten, 'over_best'), 0.0, '>'),
      Contrast('most_over_fewest', one(most, 'over_fewest'), 0.0, '>'),
    ],
    _means(rows),
  )


def outliers_replace_size(tables) -> Finding:
  """Claim 47: ten outliers at the smallest size, none at the largest."""
  rows, best = (
    rows_of.shown(tables, outliers=SHOWN),
    rows_of.best_distance(tables),
  )
  if len(sizes(rows)) < 2:
    raise NotRunError('one size; wanted a smallest and a largest')
  smallest = rows[rows['n_params'] == rows['n_params'].min()]
  by_seed = lambda frame: frame.groupby('seed')['auroc'].mean()
  ours, theirs = by_seed(smallest), by_seed(largest(best))
  return Finding(
    [contrast('smallest_minus_largest', ours - theirs, '>', WORSE, over_seeds)],
    {
      'smallest_with_outliers': float(ours.mean()),
      'largest_without': float(theirs.mean()),
    },
  )


def controls(tables) -> Finding:
  """Claim 48: the largest rotated score, and what shuffled labels leave."""
  rows = select(tables, 'ood_control')
  n, off = rows['seed'].nunique(), (rows['shuffled'] - 0.5).abs()
  return Finding(
    [
      Contrast('rotated', exact(rows['rotated'].max(), n), ROTATED, '<'),
      Contrast('shuffled_off_half', exact(off.max(), n), SHUFFLED, '<'),
    ],
    {
      'unrotated': float(rows['unrotated'].max()),
      'shuffled': float(rows['shuffled'].mean()),
      'cells': float(len(rows)),
    },
  )


LAYER = {
  'split': 'number of the split of the prompts',
  'pool': '`last`: the features of the last token of a prompt; `mean`: their '
  'mean over it',
  'layers': 'of the model',
  'layer': 'that is read; 1 is what the first block makes, the last one what a '
  'head reads',
}
OOD = Table(
  name='ood',
  meaning='a distance of prompts to a Gaussian of helpful ones, at a layer',
  columns=LAYER
  | {
    'score': '`plain`: Mahalanobis; `diagonal`: the same without correlations; '
    '`simplified`: the first less the second; `relative`: the first less the '
    'distance to a Gaussian of prompts of both kinds without their labels '
    '(Ren et al. 2021), which no claim is judged by',
    'auroc': 'P(a red-team prompt is farther off than a helpful one)',
    'auroc_se': 'its standard error over prompts (DeLong)',
    'auroc_low': 'low end of the 95 % interval over prompts',
    'auroc_high': 'high end of it',
    'over_plain': 'less that of the plain distance',
    'over_plain_se': 'its standard error, paired',
    'auroc_first': 'AUROC on one half of the tested prompts',
    'auroc_second': 'on the other half',
    'shrinkage': 'of the correlations, which the helpful prompts of the fit '
    'chose (Ledoit and Wolf)',
    'n_fit': 'helpful prompts that the Gaussian is fitted to',
    'n_test': 'helpful prompts that are tested, and as many red-team ones',
  },
  text=('pool', 'score'),
)
EXPOSURE = Table(
  name='ood_exposure',
  meaning='linear classifiers at a layer that were shown a few red-team '
  'prompts, mean over draws of these',
  columns=LAYER
  | {
    'outliers': 'red-team prompts that were shown',
    'draws': 'of them',
    'spread': 'standard deviation of the AUROC over draws',
    'auroc': 'on prompts of which none was shown',
    'auroc_se': 'its standard error over prompts and draws',
    'over_best': 'less the best AUROC of a distance, `plain` or `simplified`, '
    'of any layer',
    'over_best_se': 'its standard error, paired',
    'over_fewest': 'less the AUROC of the fewest that were shown',
    'over_fewest_se': 'its standard error, paired',
  },
  text=('pool',),
)
CONTROL = Table(
  name='ood_control',
  meaning='controls of the simplified score at a layer',
  columns=LAYER
  | {
    'unrotated': 'largest absolute score of a tested prompt',
    'rotated': 'the same in axes in which the covariance is diagonal',
    'shuffled': 'mean AUROC where kinds are dealt out at random',
    'shuffles': 'how often they are',
  },
  text=('pool',),
)

THEME = Theme(
  title='Detection of out-of-distribution prompts',
  claims=(
    ClaimSpec(
      44,
      'Relative Mahalanobis is better',
      'The simplified relative score detects red-team prompts better than the '
      'plain distance.',
      f'{BAI}, Fig. 39',
      'interval of the difference of AUROC above 0 in >= 90 % of the cells of '
      'layer and size (each at level 1 - .1 / k, k one more than the cells '
      'that may tie)',
      relative_is_better,
      tables=('ood',),
      figure='outlier_layers',
      min_seeds=8,
      crossed=OnConversations(
        relative_is_better_over_prompts,
        'interval of the difference of AUROC above 0 at >= 90 % of the layers '
        '(each at level 1 - .1 / k, k one more than the layers that may tie; '
        'paired, over prompts of different conversations)',
        table='ood',
        role=ALONE,
      ),
    ),
    ClaimSpec(
      45,
      'OOD detection grows with size',
      'The best AUROC rises with size, and deep models have it in the middle.',
      f'{BAI}, Fig. 22',
      'slope of the AUROC at the best layer on ln P > 0 (one half of the '
      'prompts chooses the layer, the other measures); more than half of all '
      'seeds have the best layer of models of 4 layers or more in the middle '
      'half (exact interval of their share)',
      grows_with_size,
      tables=('ood',),
      figure='outlier_layers',
      min_seeds=8,
    ),
    ClaimSpec(
      46,
      'Ten outliers help',
      'Ten exposed harmful prompts beat the best unsupervised score; more are '
      'better.',
      f'{BAI}, Fig. 23',
      'AUROC with 10 outliers - best AUROC of a distance of any layer > 0 at '
      'every size; Spearman of AUROC with their number > 0',
      outliers_help,
      tables=('ood_exposure',),
      figure='outlier_exposure',
      min_seeds=8,
      crossed=OnConversations(
        outliers_help_over_prompts,
        'AUROC with 10 outliers - best AUROC of a distance of any layer > 0; '
        'AUROC with the most outliers - with the fewest > 0 (paired, over '
        'prompts of different conversations and draws of the outliers)',
        table='ood_exposure',
        role=ALONE,
      ),
    ),
    ClaimSpec(
      47,
      'Ten outliers replace the ladder',
      'The smallest model with ten outliers matches the largest without.',
      f'{BAI}, section 5.4',
      'AUROC difference > -0.02',
      outliers_replace_size,
      tables=('ood', 'ood_exposure'),
      figure='outlier_exposure',
      min_seeds=8,
    ),
    ClaimSpec(
      48,
      'OOD negative control',
      'A rotation that diagonalises the covariance kills the score; shuffled '
      'labels give chance.',
      'derived from ' + f'{BAI}, section 5.4',
      '|score| < 1e-4; shuffled AUROC inside 0.5 +- 0.01 (mean of 100 draws '
      'or more)',
      controls,
      tables=('ood_control',),
      evidence='identity',
    ),
  ),
  tables=(OOD, EXPOSURE, CONTROL),
  drawings=(outlier_layers, outlier_exposure),
  roles={
    'ood': 'red-team prompts as outliers, by a language model of its own seed',
    ALONE: 'the same by an imported model, of which there is one',
  },
)
