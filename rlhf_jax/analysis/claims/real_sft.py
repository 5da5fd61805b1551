"""Finetuning of a real model on demonstrations: nothing is claimed.

Table and figure are those of the theme `demonstrations`.
"""

from rlhf_jax.analysis.claims.spec import Theme
from rlhf_jax.analysis.findings import NotHereError, select


def real_epochs(tables) -> dict:
  """What each rule of choosing an epoch would keep of a real model.

  No verdict: the papers at hand claim nothing of it.
  """
  if 'sft' not in tables or 'best_score' not in tables['sft']:
    raise NotHereError('no model is finetuned')
  rows = select(tables, 'sft', role='sft')
  if rows['gold'].notna().any() or not rows['best_score'].any():
    raise NotHereError('no real model is finetuned under a preference model')
  measured = {'epochs': float(rows['epoch'].max())}
  for rule in ('least_loss', 'best_score'):
    own = rows[rows[rule] == 1]
    for column in ('epoch', 'validation_nats', 'rm_score'):
      measured[f'{rule}_{column}'] = float(own[column].mean())
  return {
    'measured': measured,
    'seeds': rows['seed'].nunique(),
    'verdict': 'reported',
    'note': 'held-out loss in nats per token of a reply, scores in log-odds',
  }


THEME = Theme(
  title='Finetuning of a real model on demonstrations',
  checks=(real_epochs,),
)
