"""Context distillation of a real model into itself: nothing is claimed.

Tables and the figure are those of the theme `distillation`, whose claims want
three sizes (49, 55) or choices of a world (51); claim 50 holds of any model.
"""

from rlhf_jax.analysis.claims.spec import Theme
from rlhf_jax.analysis.findings import NotHereError, select, sizes


def real_distilled(tables) -> dict:
  """Divergence from the prompted teacher that a real student leaves.

  No verdict: claim 49 wants three sizes.
  """
  if 'distillation' not in tables or 'prompted' in tables:
    raise NotHereError('no real model is distilled')
  rows = select(tables, 'distillation', role='distilled')
  if len(sizes(rows)) > 1:
    raise NotHereError('these are students of several sizes')
  ends = rows['tokens'] == rows.groupby('run_id')['tokens'].transform('max')
  measured = {}
  for kind, own in rows.groupby('texts'):
    before, after = (own[ends[own.index] == end]['kl'] for end in (False, True))
    measured[f'{kind}_before'] = float(before.mean())
    measured[f'{kind}_after'] = float(after.mean())
  return {
    'measured': measured,
    'seeds': rows['seed'].nunique(),
    'verdict': 'reported',
    'note': 'over 50 ids and one bucket, nats per token of held-out texts',
  }


THEME = Theme(
  title='Context distillation of a real model',
  checks=(real_distilled,),
)
