"""Claims 58 to 60: PPO with a pretraining mix (Ouyang et al., 4, App. E)."""

import pandas as pd

from rlhf_jax.analysis import bounded, text_tax
from rlhf_jax.analysis.claims.spec import OUYANG, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.instruct import kl_coefficients
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  keep,
  means,
  need_values,
  select,
)

MOST, EQUAL_REWARD, HALF = 0.5, 0.05, 0.5
MIDDLE = 0.2  # kl_coef; set before any run, not tried on development seeds
LARGER = 10  # times as many parameters


def runs_of(tables) -> pd.DataFrame:
  """The long runs of the theme at their ends, a row a seed and policy."""
  runs = text_tax.long_runs(select(tables, 'rl_curve'))
  lacking = {'ppo', text_tax.MIXED} - set(runs['policy'])
  if lacking:
    raise NotRunError(f'no long run of {", ".join(sorted(lacking))}')
  return runs


def repaired(tables) -> Finding:
  """Claim 58: the cost of PPO on text, and what repairs it at what reward.

  A larger coefficient whose share and reward add up to less than .5 + .95 does
  not recover one half at 95 % of the reward.
  """
  runs, tax = runs_of(tables), select(tables, 'tax', role='tax')
  rows = {}
  for seed, own in runs.groupby('seed'):
    found = text_tax.repair(own, keep(tax, 'tax.csv', seed=seed))
    larger = found['kl_coef'] > found.loc['ppo', 'kl_coef']
    row = {'cost': found.loc['ppo', 'cost']}
    for name in [text_tax.MIXED, *found.index[larger]]:
      row[f'share_{name}'] = found.loc[name, 'share']
      row[f'reward_{name}'] = found.loc[name, 'reward'] - 1
    rows[seed] = row
  rows = pd.DataFrame.from_dict(rows, orient='index')
  of = [x for x in rows if x.startswith('reward_') and text_tax.SCAN in x]
  if not of:
    raise NotRunError('no long run of a larger kl_coef than that of PPO')
  names = [x.removeprefix('reward_') for x in of]
  share, reward = (f'{kind}_{text_tax.MIXED}' for kind in ('share', 'reward'))
  margin = -EQUAL_REWARD, EQUAL_REWARD
  both = {x: rows[f'share_{x}'] + rows[f'reward_{x}'] for x in names}
  return Finding(
    [
      contrast('cost', rows['cost'], '>', 0.0),
      contrast(share, rows[share], '>', MOST),
      contrast(reward, rows[reward], 'inside', margin),
      *(contrast(f'sum_{x}', both[x], '<', MOST - EQUAL_REWARD) for x in names),
    ],
    means(rows, *(f'share_{x}' for x in names), *of),
    'reward is the gain of the train PM over that of PPO, less 1; a sum is of '
    'share and reward of a larger kl_coef',
  )


def middle_is_best(tables) -> Finding:
  """Claim 59: gold at the end of runs of other coefficients of the KL."""
  runs = runs_of(tables)
  need_values(runs, 'gold', 'real data have no gold scorer')
  own = runs[runs['policy'] != text_tax.MIXED]
  gold = own.pivot_table(index='seed', columns='kl_coef', values='gold')
  lacking = {0.0, MIDDLE} - set(gold)
  if lacking or max(gold) <= MIDDLE:
    raise NotRunError(
      f'wanted runs of kl_coef 0, {MIDDLE:g} and a larger one, got '
      f'{", ".join(f"{x:g}" for x in gold)}'
    )
  measured = {f'gold_{coef:g}': gold[coef].mean(skipna=False) for coef in gold}
  step = lambda coef: gold[MIDDLE] - gold[coef]
  return Finding(
    [
      contrast('middle_minus_zero', step(0.0), '>', 0.0),
      contrast('middle_minus_largest', step(max(gold)), '>', 0.0),
    ],
    {name: float(value) for name, value in measured.items()},
  )


def small_beats_large(tables) -> Finding:
  """Claim 60: the crowd's choice between a small policy and a plain model."""
  tax = select(tables, 'tax', role='tax')
  params = tax.groupby('policy')['model_params'].first()
  plain = params[params.index.str.startswith('plain_')]
  if 'rlhf' not in params or plain.empty:
    raise NotRunError('tax.csv has no small policy and plain model')
  large, times = plain.idxmax(), plain.max() / params['rlhf']
  if times < LARGER:
    raise NotRunError(
      f'the largest plain model has {times:.1f} times the parameters of the '
      f'policy; wanted {LARGER}'
    )
  games = select(tables, 'win_rates', role='tax', player='rlhf')
  need_values(games, 'win_rate', 'nobody judges replies to real prompts')
  rate = games.pivot_table(
    index='seed', columns='opponent', values='win_rate', dropna=False
  )
  measured = {'times_larger': float(times)}
  for name in sorted({'pi_0', *plain.index} & set(rate)):
    measured[f'against_{name}'] = float(rate[name].mean(skipna=False))
  won = contrast('win_rate', rate[large], '>', HALF, bounded.logit_mean)
  return Finding([won], measured)


TAX = Table(
  name='tax',
  meaning='a policy on held-out text of the pretraining mixture, and on '
  'held-out prompts',
  columns={
    'policy': '`pi_0`, `ppo`, `ptx` (pretraining text mixed in), `beta_X` '
    '(kl_coef X), all long runs of one size; `rlhf`: a small policy of role '
    'linear; `plain_SIZE`: a language model',
    'model': 'its size',
    'model_params': 'its parameters without embeddings',
    'words': 'mean words of a reply',
    'nats': 'loss on the text, nats a token, kinds weighed as in training',
    'nats_dialogues': 'the same on dialogues',
    'nats_plain': 'the same on text that is none; NaN on real data',
    'gold': 'mean gold score of its replies; NaN on real data',
  },
  text=('policy', 'model'),
  heading='Policies on pretraining text',
)
WIN_RATES = Table(
  name='win_rates',
  meaning='two policies on the same held-out prompts, judged by the crowd',
  columns={
    'player': 'a policy, as in `tax`',
    'opponent': 'another one',
    'win_rate': "P(a worker prefers the player's reply), mean over replies; "
    'NaN on real data',
    'games': 'replies of the player',
  },
  text=('player', 'opponent'),
)

THEME = Theme(
  title='InstructGPT',
  claims=(
    ClaimSpec(
      58,
      'Pretraining mix repairs the tax',
      'PPO alone loses on pretraining text; PPO-ptx recovers most at equal '
      'reward, a larger beta does not.',
      f'{OUYANG}, section 4.2, App. E.6',
      'on held-out text of the pretraining mixture PPO - pi_0 > 0 nats; '
      'recovered share of PPO-ptx > 50 %; its train PM gain inside 5 % of that '
      'of PPO; no larger kl_coef recovers 50 % at 95 % of the gain: share + '
      'gain / gain of PPO < 1.45 for each',
      repaired,
      tables=('tax', 'rl_curve'),
      figure='kl_coefficients',
      pm_role='robust',
    ),
    ClaimSpec(
      59,
      'Some KL penalty is best',
      'Gold is an inverted U in the KL coefficient.',
      f'{OUYANG}, App. E.7',
      f'final gold: middle (kl_coef {MIDDLE:g}) - zero > 0 and middle - '
      'largest > 0, in the long runs',
      middle_is_best,
      tables=('rl_curve',),
      figure='kl_coefficients',
      pm_role='robust',
    ),
    ClaimSpec(
      60,
      'Small with RLHF beats large without',
      'A small RLHF policy is preferred to a much larger plain model.',
      f'{OUYANG}, Fig. 1',
      f'gold win rate > 50 %, the plain model being {LARGER} times larger or '
      'more',
      small_beats_large,
      tables=('tax', 'win_rates'),
      pm_role='rl',
    ),
  ),
  tables=(TAX, WIN_RATES),
  drawings=(kl_coefficients,),
  roles={
    'ptx': 'a long run as of role robust, half a, with pretraining text mixed '
    'in',
    'beta_X': 'a long run as of role robust, half a, with kl_coef X',
    'tax': 'policies of a seed on pretraining text, and against each other',
  },
)
