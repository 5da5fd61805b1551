"""Claims 11, 12, 27: what PPO does to score and entropy (Bai et al., 4.1)."""

import math

import pandas as pd

from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.ppo import entropy_length, kl_estimators
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrasts_by_size,
  means_by_size,
  runs_of_role,
)

EQUAL_GAIN = 0.05
PM_ROLE = 'rl'


def change(tables, column) -> pd.DataFrame:
  """First, last and last - first of a column, one row a linear run."""
  rows = [
    {
      **identity,
      'start': run[column].iloc[0],
      'end': run[column].iloc[-1],
      'change': run[column].iloc[-1] - run[column].iloc[0],
    }
    for identity, run in runs_of_role(tables, 'linear')
  ]
  return pd.DataFrame(rows)


def ppo_gain(tables) -> Finding:
  """Claim 11: train PM at the last checkpoint less that at pi_0."""
  rows = change(tables, 'train_pm').rename(columns={'change': 'gain'})
  return Finding(contrasts_by_size(rows, 'gain', '>', 0.0))


def penalty_differences(tables) -> pd.DataFrame:
  """Runs at kl_coef 0 less those at 0.001, per gain of the latter.

  A row a pair of one seed, size and half, at the last samples that both have:
  difference (NaN without a gain), gain, sqrt_kl, sqrt_kl_inert.
  """
  inert = {
    (i['seed'], i['size'], i['half']): run
    for i, run in runs_of_role(tables, 'inert')
  }
  rows = []
  for identity, run in runs_of_role(tables, 'linear'):
    other = inert.get(tuple(identity[k] for k in ('seed', 'size', 'half')))
    if other is None:
      continue
    shared = run.merge(other, on='samples', suffixes=('', '_inert'))
    if shared.empty or shared['samples'].iloc[-1] == 0:
      continue
    last = shared.iloc[-1]
    gain = last['train_pm'] - run['train_pm'].iloc[0]
    difference = last['train_pm_inert'] - last['train_pm']
    rows.append(
      {
        **identity,
        'difference': difference / gain if gain > 0 else math.nan,
        'gain': gain,
        'sqrt_kl': math.sqrt(max(last['kl'], 0.0)),
        'sqrt_kl_inert': math.sqrt(max(last['kl_inert'], 0.0)),
      }
    )
  if not rows:
    raise NotRunError('no run of role inert has its linear twin')
  return pd.DataFrame(rows)


def inert_penalty(tables) -> Finding:
  """Claim 12: kl_coef 0 against 0.001, paired by seed, size and half."""
  rows = penalty_differences(tables)
  margin = (-EQUAL_GAIN, EQUAL_GAIN)
  return Finding(
    contrasts_by_size(rows, 'difference', 'inside', margin),
    means_by_size(rows, 'gain', 'sqrt_kl', 'sqrt_kl_inert'),
    'difference / gain; the final KL is not claimed to be equal',
  )


def entropy(tables) -> Finding:
  """Claim 27: entropy, with the reply length beside it."""
  named = lambda name: {'start': f'{name}_start', 'end': f'{name}_end'}
  names = named('entropy') | {'change': 'entropy_change'}
  rows = change(tables, 'entropy').rename(columns=names)
  length = change(tables, 'length').rename(columns=named('length'))
  return Finding(
    contrasts_by_size(rows, 'entropy_change', '<', 0.0),
    {
      **means_by_size(rows, 'entropy_start', 'entropy_end'),
      **means_by_size(length, 'length_start', 'length_end'),
    },
  )


GAIN_ERROR = 's.e. of the gain over pi_0 on the same prompts, not of the mean'
RL_CURVE = Table(
  name='rl_curve',
  meaning='a checkpoint of a policy on held-out prompts; `iteration` 0 is pi_0',
  columns={
    'kl_coef': 'lambda_KL, the weight of the KL penalty',
    'pm_size': 'ladder name of the train PM',
    'pm_pairs': 'training pairs of the train PM',
    'iteration': 'of PPO',
    'samples': 'replies sampled for training so far',
    'kl': 'KL(pi || pi_0), exact per-prefix sum, nats per reply',
    'kl_se': 'its standard error over prompts',
    'kl_k1': 'its sampled estimate log(pi / pi_0)',
    'kl_k3': 'its sampled estimate pi_0 / pi - 1 - log(pi_0 / pi)',
    'entropy': 'of the policy, nats per token',
    'length': 'of a reply, tokens',
    'truncated': 'share of replies without an end token',
    'train_pm': 'mean score by the PM that RL optimises',
    'train_pm_se': GAIN_ERROR,
    'test_pm': 'mean score by the PM of the other half, which only watches',
    'test_pm_se': GAIN_ERROR,
    'gold': 'mean gold score; NaN on real data',
    'gold_se': GAIN_ERROR,
    'pm_win_rate': "win rate against pi_0's reply on the same prompt that the "
    'train PM predicts: mean sigmoid(difference of scores)',
    'win_rate': "probability that a worker prefers the reply to pi_0's on the "
    'same prompt; NaN on real data',
    'win_rate_se': 'its standard error over prompts',
    'distinct': 'distinct words / words',
  },
  text=('pm_size',),
)
RL_SUBSETS = Table(
  name='rl_subsets',
  meaning='a checkpoint of a policy on the held-out prompts of one kind',
  columns={
    'subset': 'kind of prompts: `helpful` or `harmless`',
    'n_prompts': 'of that kind',
    'iteration': 'of PPO; 0 is pi_0',
    'samples': 'replies sampled for training so far',
    'kl': 'KL(pi || pi_0), exact per-prefix sum, nats per reply',
    'kl_se': 'its standard error over prompts',
  }
  | {
    column: meaning
    for name, scorer in (
      ('train', 'train PM'),
      ('test', 'test PM'),
      ('gold', 'gold scorer; NaN on real data'),
    )
    for column, meaning in (
      (f'{name}_gain', f"gain over pi_0's mean by the {scorer}"),
      (f'{name}_gain_se', 'its standard error over prompts'),
    )
  },
  text=('subset',),
)
RL_PI0 = Table(
  name='rl_pi0',
  meaning='the scores of pi_0 by one scorer, before an RL run',
  columns={
    'scorer': '`train` or `test` PM, or `gold`',
    'mean': 'score over prompts and replies',
    'se': 'its standard error over prompts',
    'within_variance': 'V: mean over prompts of the variance over replies',
    'pooled_variance': 'variance over all replies of all prompts',
    'n_prompts': 'held-out prompts',
    'n_samples': 'replies per prompt',
  },
  text=('scorer',),
)

THEME = Theme(
  title='PPO against a preference model',
  claims=(
    ClaimSpec(
      11,
      'PPO raises the train-PM score',
      'PPO against the PM lifts its mean score over that of pi_0 at every '
      'policy size.',
      f'{BAI}, App. B.1',
      'final - initial train PM > 0 at every size',
      ppo_gain,
      tables=('rl_curve',),
      figure='reward_vs_sqrt_kl',
      pm_role=PM_ROLE,
    ),
    ClaimSpec(
      12,
      'The KL penalty is inert',
      'KL coefficients 0 and 0.001 give the same final reward at matched '
      'samples.',
      f'{BAI}, section 4.1',
      'paired difference of the final train PM inside 5 % of the RL gain',
      inert_penalty,
      tables=('rl_curve',),
      pm_role=PM_ROLE,
    ),
    ClaimSpec(
      27,
      'Entropy falls in RL',
      'The entropy of the policy falls during RL; reply length is reported '
      'beside it.',
      f'{BAI}, section 4.5, App. B.10',
      'final - initial entropy < 0 at every size',
      entropy,
      tables=('rl_curve',),
      figure='entropy_length',
      pm_role=PM_ROLE,
    ),
  ),
  tables=(RL_CURVE, RL_SUBSETS, RL_PI0),
  drawings=(entropy_length, kl_estimators),
  roles={
    'rl': 'the test PM of the linear RL runs: largest size, half b',
    'linear': 'a policy at kl_coef 0.001 under the train PM of role scaling, '
    'which all sizes share',
    'inert': 'the same at kl_coef 0',
  },
)
