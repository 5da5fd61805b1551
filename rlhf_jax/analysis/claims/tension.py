"""Claims 37 to 42: helpful against harmless (Bai et al., 4.4 and 5.1)."""

from rlhf_jax.analysis import bounded, crossed, scaling
from rlhf_jax.analysis.claims.spec import (
  BAI,
  ClaimSpec,
  OnConversations,
  Theme,
)
from rlhf_jax.analysis.drawings.tension import helpful_harmless
from rlhf_jax.analysis.findings import (
  Finding,
  contrast,
  largest,
  last,
  need_values,
  select,
)


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
      'For the largest PM some mixture is nearly as good on each set as the '
      'specialist.',
      f'{BAI}, Fig. 19',
      '>= 95 % of each single-objective best; not worse by 1 point',
    ),
    ClaimSpec(
      39,
      'Large PMs mind the mixture less',
      'The max-normalised curve of mean accuracy is flatter for larger PMs.',
      f'{BAI}, Figs. 19 and 26',
      'slope of the area under the curve on ln P > 0',
    ),
    ClaimSpec(
      40,
      'Large PMs mind the weights less',
      'Weighting harmlessness 10 times costs less helpfulness at larger sizes, '
      'and an inner weight is best.',
      f'{BAI}, Fig. 27',
      'slope of the accuracy drop on ln P < 0; best weight strictly inside',
    ),
    ClaimSpec(
      41,
      'Harmlessness is over-optimised',
      'RL on the mixture drives the harmlessness score to a higher percentile '
      'of the PM data than the helpfulness score.',
      f'{BAI}, Fig. 14',
      'difference of percentiles > 0',
    ),
    ClaimSpec(
      42,
      'Helpful-only RL is easy to attack',
      'A helpful-only policy has more helpful gold and is attacked with more '
      'success.',
      f'{BAI}, Fig. 1',
      'both differences > 0',
    ),
  ),
  drawings=(helpful_harmless,),
  roles={
    'single': 'a PM of helpful or of harmless pairs alone, tested on both',
  },
)
