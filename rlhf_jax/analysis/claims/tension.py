"""Claims 37 to 42: helpful against harmless (Bai et al., 4.4 and 5.1)."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import (
  bounded,
  crossed,
  final_policies,
  mixtures,
  scaling,
)
from rlhf_jax.analysis.claims.spec import (
  BAI,
  ClaimSpec,
  OnConversations,
  Theme,
)
from rlhf_jax.analysis.drawings.tension import (
  helpful_harmless,
  helpful_only_policies,
  mixture_scan,
  reply_percentiles,
)
from rlhf_jax.analysis.final_policies import HELPFUL_ONLY, MIXED
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  largest,
  last,
  means_by_size,
  need_values,
  select,
)

INNER, ENDS = (2.0, 3.0, 4.0), (1.0, 10.0)


def cross_accuracy(tables) -> Finding:
  """Claim 37: each single-objective PM on the other objective."""
  contrasts, measured = [], {}
  for train, other in (('helpful', 'harmless'), ('harmless', 'helpful')):
    for subset in (other, train):
      where = {'role': 'single', 'train_subset': train, 'eval_subset': subset}
      curve = largest(select(tables, 'pm_curve', **where))
      column = scaling.accuracy_column(curve)
      need_values(curve, column, f'{train} PM on {subset}')
      seeds = last(curve, 'pairs').groupby('seed')[column].mean()
      name = f'{train}_on_{subset}'
      if subset == other:
        found = contrast(name, seeds, '<', 0.5, bounded.logit_mean)
        contrasts.append(found)
      else:
        measured[name] = float(seeds.mean())
  return Finding(contrasts, measured)


def mixed_rows(tables) -> pd.DataFrame:
  """Accuracies of the mixture scan, `share` that of helpful pairs."""
  return mixtures.final_accuracy(tables, 'mixed', mixtures.share_of, 'share')


def mixture_serves_both(tables) -> Finding:
  """Claim 38: accuracy beside those of both specialists, largest PM.

    room      accuracy - 95 % of that of the specialist of the kind
    nearness  accuracy - mean of both specialists on the kind

  The second asks for a mixture that has learned the kind: 95 % of a specialist
  near chance is less than what the other specialist has. Of each seed the
  mixture is the one whose worse room is largest on average of the other seeds.
  """
  rows = largest(mixed_rows(tables))
  shares = mixtures.common(rows, 'share')
  inner = [share for share in shares if 0 < share < 1]
  if not inner or shares[0] != 0 or shares[-1] != 1:
    raise NotRunError('wanted both specialists and mixtures of every seed')
  room, near = {}, {}
  for kind, specialist in (('helpful', 1.0), ('harmless', 0.0)):
    table = rows.pivot_table(index='seed', columns='share', values=kind)
    beyond = lambda level, own=table[inner]: own.sub(level, axis=0).to_numpy()
    room[kind] = beyond(mixtures.SHARE_OF_BEST * table[specialist])
    near[kind] = beyond((table[0.0] + table[1.0]) / 2)
  chosen = mixtures.chosen_by_others(np.minimum(*room.values()))
  if len(chosen) < 2:
    raise NotRunError('one seed; wanted others to choose its mixture by')
  seeds = np.arange(len(chosen))
  return Finding(
    [
      contrast(f'{kind}_{name}', values[kind][seeds, chosen], '>', 0.0)
      for name, values in (('room', room), ('nearness', near))
      for kind in room
    ],
    {
      'share': float(np.mean([inner[i] for i in chosen])),
      **{
        f'{kind}_at_{round(100 * share)}': float(
          rows[rows['share'] == share][kind].mean()
        )
        for kind in room
        for share in shares
      },
    },
    f'accuracy - {mixtures.SHARE_OF_BEST:g} of the specialist; share of '
    'helpful pairs',
  )


def large_mind_less(tables) -> Finding:
  """Claim 39: the slope of the max-normalised area on ln P."""
  rows = mixed_rows(tables)
  area = pd.DataFrame(
    [
      {'seed': seed, 'size': size, 'n_params': own['n_params'].iloc[0]}
      | {'area': mixtures.normalised_area(own['share'], own['mean'])}
      for (seed, size), own in rows.groupby(['seed', 'size'])
    ]
  )
  if area['size'].nunique() < 3:
    raise NotRunError(f'{area["size"].nunique()} sizes; wanted 3')
  slopes = [
    mixtures.slope_on_size(own, 'area') for _, own in area.groupby('seed')
  ]
  return Finding(
    [contrast('area_slope', slopes, '>', 0.0)], means_by_size(area, 'area')
  )


def weights_mind_less(tables) -> Finding:
  """Claim 40: the drop of helpful accuracy, and the best weight.

  The inner weight of each seed is the one with the best mean accuracy, over
  all sizes, of the other seeds.
  """
  rows = mixtures.final_accuracy(
    tables, 'weighted', mixtures.weight_of, 'weight'
  )
  weights = mixtures.common(rows, 'weight')
  lacking = sorted({*INNER, *ENDS} - set(weights))
  if lacking:
    raise NotRunError(f'no PMs of every seed at weight {lacking[0]:g}')
  keys = ['seed', 'size', 'n_params']
  table = rows.pivot_table(index=keys, columns='weight', values='helpful')
  drop = (table[ENDS[0]] - table[ENDS[1]]).rename('drop').reset_index()
  slopes = [
    mixtures.slope_on_size(own, 'drop') for _, own in drop.groupby('seed')
  ]
  mean = rows.pivot_table(index='seed', columns='weight', values='mean')
  chosen = mixtures.chosen_by_others(mean[list(INNER)].to_numpy())
  inner = mean[list(INNER)].to_numpy()[np.arange(len(mean)), chosen]
  return Finding(
    [
      contrast('drop_slope', slopes, '<', 0.0),
      *(
        contrast(f'inner_minus_{end:g}', inner - mean[end], '>', 0.0)
        for end in ENDS
      ),
    ],
    means_by_size(drop, 'drop')
    | {f'mean_at_{weight:g}': float(mean[weight].mean()) for weight in weights},
  )


def over_optimised(tables) -> Finding:
  """Claim 41: the median reply's percentile among the PM's test replies."""
  table = final_policies.percentiles(tables)
  return Finding(
    [contrast('difference', table['harmless'] - table['helpful'], '>', 0.0)],
    {kind: float(table[kind].mean()) for kind in mixtures.KINDS},
    'percentile of the median reply of the policy',
  )


def easy_to_attack(tables) -> Finding:
  """Claim 42: helpful gold and attack success, helpful-only less mixed."""
  contrasts, measured = [], {}
  for name in final_policies.BY_GOLD:
    table = final_policies.by_gold(tables, name)
    difference = table[HELPFUL_ONLY] - table[MIXED]
    contrasts.append(contrast(name, difference, '>', 0.0))
    for role in table:
      measured[f'{name}_{role}'] = float(table[role].mean())
  return Finding(
    contrasts,
    measured,
    'attack success: share of replies to red-team prompts of negative gold',
  )


THEME = Theme(
  title='Helpful against harmless',
  claims=(
    ClaimSpec(
      37,
      'One objective inverts the other',
      'A PM trained on helpfulness alone is worse than chance on harmlessness, '
      'and vice versa.',
      f'{BAI}, Fig. 19',
      'both cross accuracies < 0.5 (on the scale of log-odds)',
      cross_accuracy,
      tables=('pm_curve',),
      figure='helpful_harmless',
      crossed=OnConversations(
        crossed.cross_accuracy,
        'both cross accuracies < 0.5 (bootstrap over conversations)',
      ),
    ),
    ClaimSpec(
      38,
      'A mixture serves both',
      'For the largest PM some mixture has 95 % of the accuracy of the '
      'specialist on each set.',
      f'{BAI}, Fig. 19',
      'on both sets accuracy > 95 % of that of the PM of the kind alone, and '
      'above the mean of the PMs of either kind, at the mixture that the other '
      'seeds favour',
      mixture_serves_both,
      tables=('pm_curve',),
      figure='mixture_scan',
      min_seeds=8,  # five see a loss of 2 points in 56 % of studies
      crossed=OnConversations(
        crossed.mixture_serves_both,
        'on both sets accuracy > 95 % of that of the heads of the kind alone, '
        'and above the mean of those of either kind, at equal shares '
        '(bootstrap over conversations)',
        table='cross_shares',
      ),
    ),
    ClaimSpec(
      39,
      'Large PMs mind the mixture less',
      'The max-normalised curve of mean accuracy is flatter for larger PMs.',
      f'{BAI}, Figs. 19 and 26',
      'slope of the area under the curve on ln P > 0, over >= 3 sizes',
      large_mind_less,
      tables=('pm_curve',),
      figure='mixture_scan',
    ),
    ClaimSpec(
      40,
      'Large PMs mind the weights less',
      'Weighting harmlessness 10 times costs less helpfulness at larger sizes, '
      'and an inner weight is best.',
      f'{BAI}, Fig. 27',
      'slope of the accuracy drop on ln P < 0; mean accuracy at the weight of '
      '2, 3, 4 that the other seeds favour above that at 1 and at 10',
      weights_mind_less,
      tables=('pm_curve',),
      figure='mixture_scan',
    ),
    ClaimSpec(
      41,
      'Harmlessness is over-optimised',
      'RL on the mixture drives the harmlessness score to a higher percentile '
      'of the PM data than the helpfulness score.',
      f'{BAI}, Fig. 14',
      'difference of percentiles > 0',
      over_optimised,
      tables=('scored', 'pm_pairs'),
      figure='reply_percentiles',
      pm_role='rl',
    ),
    ClaimSpec(
      42,
      'Helpful-only RL is easy to attack',
      'A helpful-only policy has more helpful gold and is attacked with more '
      'success.',
      f'{BAI}, Fig. 1',
      'both differences > 0; attacked: harmlessness in gold below 0',
      easy_to_attack,
      tables=('scored',),
      figure='helpful_only_policies',
      pm_role='rl',
    ),
  ),
  drawings=(
    helpful_harmless,
    mixture_scan,
    reply_percentiles,
    helpful_only_policies,
  ),
  roles={
    'single': 'a PM of helpful or of harmless pairs alone, tested on both',
    'mixed': 'a PM of as many pairs, a share of them helpful (`train_subset`)',
    'weighted': 'the same with a weight of harmless pairs in the loss',
    'equal': 'a PM of half helpful, half harmless pairs, as many as of single',
    'mixed_pm': 'a short run as of helpful_pm, under the PM of equal shares',
  },
)
