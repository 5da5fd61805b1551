"""Cost of RL on pretraining text, and the share of it that a change repairs."""

import numpy as np
import pandas as pd

PPO, MIXED, SCAN = 'robust', 'ptx', 'beta_'
NAMES = {PPO: 'ppo'}  # a role of rl_curve, as the table tax names its policy
RUN = ['seed', 'policy']
# Of a real model: roles begin so, and PPO is the run of another theme.
REAL, LINEAR, ALL = 'real_', 'linear', 'all files'


def long_runs(curve) -> pd.DataFrame:
  """The last checkpoint of each run of the theme, a row a seed and policy.

  Columns: kl_coef, kl, gold, and `gain`, of the train PM over pi_0.
  """
  own = curve['role'].isin([PPO, MIXED]) | curve['role'].str.startswith(SCAN)
  rows = curve[own & (curve['half'] == 'a')]
  return _ends(rows.assign(policy=rows['role'].replace(NAMES)))


def real_runs(curve) -> pd.DataFrame:
  """The same of a real model, of the seeds that have PPO with text mixed in."""
  names = {LINEAR: 'ppo', f'{REAL}{MIXED}': MIXED}
  scan = curve['role'].str.startswith(f'{REAL}{SCAN}')
  rows = curve[curve['role'].isin(names) | scan]
  mixed = rows[rows['role'] == f'{REAL}{MIXED}']
  rows = rows[rows['seed'].isin(mixed['seed'])]
  rows = rows[rows['size'].isin(mixed['size'])]
  names = rows['role'].replace(names).str.removeprefix(REAL)
  return _ends(rows.assign(policy=names))


def real_tax(losses) -> pd.DataFrame:
  """Rows as of the table tax, seed, policy and nats, of text_losses."""
  rows = losses[(losses['role'] == 'text_loss') & (losses['file'] == ALL)]
  rows = rows.rename(columns={'model': 'policy', 'nats_per_token': 'nats'})
  return rows[[*RUN, 'nats']]


def _ends(rows):
  """The last checkpoint of each policy and seed, and its gain."""
  runs = rows.sort_values('samples').groupby(RUN)
  last = runs[['kl_coef', 'kl', 'gold', 'train_pm']].last()
  last['gain'] = last['train_pm'] - runs['train_pm'].first()
  return last.drop(columns='train_pm').reset_index()


def repair(runs, tax) -> pd.DataFrame:
  """Shares of the loss of PPO that policies of a seed recover, and rewards.

    cost     = nats(PPO) - nats(pi_0), on text of the pretraining mixture
    share    = (nats(PPO) - nats) / cost
    reward   = gain / gain(PPO), of the train PM

  NaN where PPO loses nothing on text, or gains nothing.

  Args:
    runs: rows of `long_runs` of a seed.
    tax: rows of the table tax of the seed.

  Returns:
    A row a policy of the long runs: kl_coef, share, reward; `cost` is the same
    in all of them.
  """
  nats = tax.set_index('policy')['nats']
  found = runs.set_index('policy')
  cost = nats['ppo'] - nats['pi_0']
  gain = found.loc['ppo', 'gain']
  share = (nats['ppo'] - nats.reindex(found.index)) / cost
  return pd.DataFrame(
    {
      'kl_coef': found['kl_coef'],
      'cost': cost,
      'share': share if cost > 0 else np.nan,
      'reward': found['gain'] / gain if gain > 0 else np.nan,
    }
  )
