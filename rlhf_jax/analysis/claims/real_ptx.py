"""What PPO of a real model costs on plain text: measured, nothing claimed.

The real twin of claim 58, which wants eight seeds of runs in which gold turns.
"""

import pandas as pd

from rlhf_jax.analysis import text_tax
from rlhf_jax.analysis.claims.spec import Theme
from rlhf_jax.analysis.drawings.real_ptx import real_text_tax
from rlhf_jax.analysis.findings import NotHereError, keep, select


def real_tax(tables) -> dict:
  """Loss of PPO on held-out text, and what repairs it at which reward.

  No verdict: one seed decides nothing.
  """
  losses = tables.get('text_losses')
  if losses is None or not (losses['role'] == 'text_loss').any():
    raise NotHereError('this study has no policies of a real model on text')
  runs = text_tax.real_runs(select(tables, 'rl_curve'))
  tax, parts = text_tax.real_tax(losses), []
  for seed, own in runs.groupby('seed'):
    found = text_tax.repair(own, keep(tax, 'text_losses.csv', seed=seed))
    row = {'cost': found.loc['ppo', 'cost']}
    for name in found.index.drop('ppo'):
      row[f'share_{name}'] = found.loc[name, 'share']
      row[f'reward_{name}'] = found.loc[name, 'reward']
    parts.append(row)
  means = pd.DataFrame(parts).mean(skipna=False)
  return {
    'measured': {name: float(value) for name, value in means.items()},
    'seeds': len(parts),
    'verdict': 'reported',
    'note': 'cost in nats a token over pi_0; share of it that is recovered; '
    'reward: gain of the train PM over that of PPO',
  }


THEME = Theme(
  title='A real model: PPO and plain text',
  drawings=(real_text_tax,),
  checks=(real_tax,),
  roles={
    'real_ptx': 'a run as of role linear, of a real model, with books and web '
    'pages mixed in',
    'real_beta_X': 'the same with kl_coef X and without text',
    'text_loss': 'pi_0 and policies of a real model on held-out text',
  },
)
