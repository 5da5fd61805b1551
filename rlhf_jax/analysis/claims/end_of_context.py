"""Claim 8: where a PM's score is read (Bai et al., appendix A.2)."""

import pandas as pd

from rlhf_jax.analysis import scaling
from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Theme
from rlhf_jax.analysis.drawings.end_of_context import accuracy_by_place
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  by_size,
  contrast,
  last,
  select,
)

ROLES = {'special': 'at_end_of_context', 'ordinary': 'at_last_token'}
MARGIN = -0.01  # one point of accuracy


def accuracies(tables) -> pd.DataFrame:
  """Accuracy by place and seed of each size: columns size, special, ordinary.

  On held-out pairs of the kinds that were trained on, at the end of training.

  Raises:
    NotRunError: if a PM lacks the one that reads elsewhere.
  """
  curve = select(tables, 'pm_curve', role=list(ROLES.values()))
  curve = last(curve[curve['train_subset'] == curve['eval_subset']], 'pairs')
  column = scaling.accuracy_column(curve)
  keys = ['n_params', 'size', 'seed']
  found = curve.pivot_table(index=keys, columns='role', values=column)
  found = found.rename(columns={role: k for k, role in ROLES.items()})
  lacking = [ROLES[k] for k in ROLES if k not in found]
  if lacking or found.isna().any(axis=None):
    alone = ', '.join(lacking) or 'some seeds'
    raise NotRunError(
      f'both readings are wanted of every seed: {alone} missing'
    )
  return found.reset_index()


def special_token(tables) -> Finding:
  """Claim 8: accuracy at the special token less that at the last one."""
  rows, contrasts, more = accuracies(tables), [], {}
  for size, own in by_size(rows):
    difference = own['special'] - own['ordinary']
    contrasts.append(contrast(f'difference_{size}', difference, '>', MARGIN))
    for name in ROLES:
      more[f'{name}_{size}'] = float(own[name].mean())
  return Finding(contrasts, more)


THEME = Theme(
  title='The end-of-context token',
  claims=(
    ClaimSpec(
      8,
      'End-of-context token',
      'Reading the score at a special token is no worse than reading it at the '
      'last ordinary token.',
      f'{BAI}, App. A.2',
      'accuracy difference > -1 point',
      special_token,
      tables=('pm_curve',),
      figure='accuracy_by_place',
      min_seeds=8,
    ),
  ),
  drawings=(accuracy_by_place,),
  roles={
    'at_end_of_context': 'PM whose score is read at the end-of-context token',
    'at_last_token': 'PM whose score is read at the last token of the reply',
  },
)
