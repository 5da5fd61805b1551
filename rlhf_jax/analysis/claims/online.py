"""Claims 9, 28, 30 to 32: tranches and online training (Bai et al., 4.5)."""

from rlhf_jax.analysis import bounded, tranches
from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.online import (
  deployed_elo,
  online_rounds,
  policies_as_judges,
  top_calibration,
  tranche_scores,
)
from rlhf_jax.analysis.findings import (
  Finding,
  contrast,
  keep,
  means,
  need_values,
  select,
)

GATE = 'online0'  # the preference model of base pairs alone
HALF = 0.5


def harder_tranches(tables) -> Finding:
  """Claim 9: the final PM's accuracy by tranche."""
  found = tranches.by_seed(tranches.final_pairs(tables), tranches.accuracies)
  step = lambda a, b: found[f'accuracy_{a}'] - found[f'accuracy_{b}']
  return Finding(
    [
      contrast('base_minus_rs', step('base', 'rs'), '>', 0.0),
      contrast('rs_minus_online', step('rs', 'online'), '>', 0.0),
    ],
    means(found, *found.columns),
  )


def policies_rank(tables) -> Finding:
  """Claim 28: the last round's policy as a judge, beside its PM."""
  policies = select(tables, 'online_policies', policy=['pi_0', 'final'])
  own, pm = tranches.judges(tables, policies)
  return Finding(
    [
      contrast('final_minus_initial', own['final'] - own['pi_0'], '>', 0.0),
      contrast('pm_minus_policy', pm - own['final'], '>', 0.0),
    ],
    {
      'initial': float(own['pi_0'].mean(skipna=False)),
      'final': float(own['final'].mean(skipna=False)),
      'pm': float(pm.mean(skipna=False)),
    },
  )


def shifted_tranches(tables) -> Finding:
  """Claim 30: mean score and upper tail by tranche, under the final PM."""
  found = tranches.by_seed(tranches.final_pairs(tables), tranches.shift)
  step = lambda name, a, b: found[f'{name}_{b}'] - found[f'{name}_{a}']
  return Finding(
    [
      contrast(f'{name}_{b}_minus_{a}', step(name, a, b), '>', 0.0)
      for name in ('mean', 'tail')
      for a, b in (('base', 'rs'), ('rs', 'online'))
    ],
    means(found, *found.columns),
  )


def preferred(tables) -> Finding:
  """Claim 31: the policy of equal thirds against that of base pairs alone."""
  games = select(tables, 'matches')
  need_values(games, 'win_rate', 'nobody judges replies to real prompts')
  pair = keep(games, 'matches.csv', player='thirds', opponent='base_only')
  rate = pair.groupby('seed')['win_rate'].mean()
  elo = tranches.by_seed(games, tranches.ratings)
  measured = {f'elo_{name}': v for name, v in means(elo, *elo.columns).items()}
  return Finding(
    [contrast('win_rate', rate, '>', HALF, bounded.logit_mean)], measured
  )


def calibrated_top(tables) -> Finding:
  """Claim 32: calibration error on pairs of high scores, at equal totals."""
  found = tranches.top_errors_by_seed(tables)
  difference = found['ece_thirds'] - found['ece_base_only']
  return Finding(
    [contrast('ece_thirds_minus_base', difference, '<', 0.0)],
    means(found, *found.columns),
  )


TRANCHE_PAIRS = Table(
  name='tranche_pairs',
  meaning='a held-out pair of a tranche, scored by a PM of online training',
  columns={
    'pm': 'which PM: `base_only` (base pairs alone), `thirds` (as many, a '
    'third of each tranche), `final` (all pairs of all rounds)',
    'tranche': '`base`, `rs` (best of k) or `online`',
    'pair_id': 'of the pair, within its tranche',
    'score_chosen': 'PM score of the preferred reply (log-odds)',
    'score_rejected': 'PM score of the other one',
    'p_label': 'true probability that `chosen` is preferred; NaN on real data',
  },
  text=('pm', 'tranche'),
  compressed=True,
)
POLICIES = Table(
  name='online_policies',
  meaning='a policy of online training, on held-out prompts and pairs',
  columns={
    'policy': '`pi_0`, `roundN`, or `base_only`, `thirds`, `final` as of PMs; '
    '`@N` after iteration N of its training',
    'gold': 'mean gold score of its replies; NaN on real data',
    'words': 'mean words of a reply',
    'accuracy': 'share of base pairs whose preferred reply has the larger mean '
    'log-probability of a token',
    'expected_accuracy': 'the same, expected over the labels; NaN on real data',
    'n_pairs': 'pairs behind it',
  },
  text=('policy',),
  heading='Policies of online training',
)
MATCHES = Table(
  name='matches',
  meaning='two policies on the same held-out prompts, judged by the crowd',
  columns={
    'player': 'a policy, as in `online_policies`',
    'opponent': 'another one',
    'win_rate': "P(a worker prefers the player's reply), mean over replies; "
    'NaN on real data',
    'games': 'replies of the player',
  },
  text=('player', 'opponent'),
)
DEPLOYED = Table(
  name='deployed',
  meaning='a snapshot that people talked with, by what they chose in a round',
  columns={
    'player': 'name of the snapshot',
    'games': 'choices between it and another one',
    'wins': 'of those',
    'elo': 'over the snapshot that was served first; NaN without a finite fit',
    'elo_low': 'lower end of its 95 % interval over conversations',
    'elo_high': 'upper end of it',
    'conversations': 'with such choices, of all snapshots',
    'fit': 'whether the fit of Elo converged, or why there is none',
  },
  text=('player', 'fit'),
  heading='Deployed snapshots, as people preferred them',
)
DEPLOYED_GAMES = Table(
  name='deployed_games',
  meaning='a snapshot against another one, by what people chose in a round',
  columns={
    'player': 'name of the snapshot',
    'opponent': 'name of the other one',
    'games': 'choices between the two',
    'wins': 'of the player',
    'win_rate': 'their share',
    'win_rate_low': 'lower end of its 95 % interval over conversations',
    'win_rate_high': 'upper end of it',
  },
  text=('player', 'opponent'),
)

THEME = Theme(
  title='Iterated online training',
  claims=(
    ClaimSpec(
      9,
      'Better samples are harder to rank',
      'The final PM is most accurate on the base tranche, then on rejection '
      'sampling, then online.',
      f'{BAI}, section 4.5',
      'base - RS > 0 and RS - online > 0',
      harder_tranches,
      tables=('tranche_pairs',),
      figure='tranche_scores',
      pm_role=GATE,
    ),
    ClaimSpec(
      28,
      'Policies rank pairs worse than PMs',
      "The policy's mean log-probability ranks comparisons better during RL, "
      'yet below the PM.',
      f'{BAI}, Fig. 34',
      'final - initial accuracy > 0; PM - policy accuracy > 0',
      policies_rank,
      tables=('online_policies', 'tranche_pairs'),
      figure='policies_as_judges',
      pm_role=GATE,
    ),
    ClaimSpec(
      30,
      'Tranches shift upwards',
      'Under the final PM, mean score and upper tail grow from base to RS to '
      'online.',
      f'{BAI}, Fig. 15 left',
      "both differences of means > 0 and of mass above base's 95th percentile "
      '> 0',
      shifted_tranches,
      tables=('tranche_pairs',),
      figure='tranche_scores',
      pm_role=GATE,
    ),
    ClaimSpec(
      31,
      'Online data make better policies',
      'At equal data size, a third each of base, RS and online beats base '
      'alone.',
      f'{BAI}, Fig. 16',
      'gold-judged win rate > 50 %',
      preferred,
      tables=('matches',),
      figure='online_rounds',
      pm_role=GATE,
    ),
    ClaimSpec(
      32,
      'Online data calibrate the top',
      'A PM of all tranches is better calibrated at high scores than one of '
      'the base tranche.',
      f'{BAI}, section 4.5',
      'difference of calibration error on top-decile pairs < 0',
      calibrated_top,
      tables=('tranche_pairs',),
      figure='top_calibration',
      pm_role=GATE,
    ),
  ),
  tables=(TRANCHE_PAIRS, POLICIES, MATCHES, DEPLOYED, DEPLOYED_GAMES),
  drawings=(
    tranche_scores,
    policies_as_judges,
    online_rounds,
    top_calibration,
    deployed_elo,
  ),
  roles={
    'online': 'policies and PMs of online training beside each other',
    'online_thirds': 'PM and policy of equal thirds of the three tranches',
    'online0': 'PM and policy of base pairs alone, before the first round',
    'online1': 'PM and policy of its first round, from scratch on all pairs',
    'online2': 'PM and policy of its second round',
    'online3': 'PM and policy of its third round',
    'tranche': 'new comparisons of deployed policies, or of the best of k',
  },
)
