"""Claims 56 and 57: rewards from rankings of K replies (Ouyang et al., 3.5)."""

import pandas as pd

from rlhf_jax.analysis.claims.spec import OUYANG, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.kwise import ranking_losses
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  last,
  select,
)

TOGETHER, SHUFFLED = 'kwise', 'shuffled'
ONCE, TWICE = 1, 2  # epochs


def ends(tables, column='log_loss', split='test') -> pd.DataFrame:
  """A number at the end of training, by seed (rows), loss and epochs."""
  rows = last(select(tables, 'ranking_curve', split=split), 'pairs')
  return rows.pivot_table(
    index='seed',
    columns=['loss', 'epochs'],
    values=column,
    aggfunc=lambda v: v.mean(skipna=False),
    dropna=False,
  )


def _at(table, loss, epochs):
  """Values of a loss after some epochs.

  Raises:
    NotRunError: if no model has them.
  """
  if (loss, epochs) not in table:
    raise NotRunError(f'no model of loss {loss} after {epochs} epochs')
  return table[loss, epochs]


def _means(tables):
  """Means over seeds of losses on both sides, and of accuracy."""
  found = {}
  for split in ('test', 'train'):
    for column in ('log_loss', 'accuracy'):
      table = ends(tables, column, split)
      for loss, epochs in table.columns:
        mean = table[loss, epochs].mean(skipna=False)
        found[f'{split}_{column}_{loss}_{epochs:g}'] = float(mean)
  return found


def together(tables) -> Finding:
  """Claim 56: held-out loss of K-wise models less that of their twins."""
  table = ends(tables)
  contrasts = [
    contrast(
      f'kwise_minus_shuffled_{epochs}',
      _at(table, TOGETHER, epochs) - _at(table, SHUFFLED, epochs),
      '<',
      0.0,
    )
    for epochs in (ONCE, TWICE)
  ]
  return Finding(contrasts, _means(tables))


def second_epoch(tables) -> Finding:
  """Claim 57: held-out loss of a K-wise model of two epochs less of one."""
  table = ends(tables)
  twice, once = (_at(table, TOGETHER, n) for n in (TWICE, ONCE))
  found = contrast('second_epoch', twice - once, '>', 0.0)
  return Finding([found], _means(tables))


RANKING_CURVE = Table(
  name='ranking_curve',
  meaning='a preference model of rankings at a point of its training',
  columns={
    'loss': 'what it learns: `kwise`, `shuffled` (the same comparisons pooled '
    'over prompts) or `best_of` (docs/kwise.md)',
    'epochs': 'passes over the rankings in the whole run',
    'pairs': 'comparisons that it was trained on so far, repetitions included',
    'split': '`test`: held-out rankings; `train`: as many that it learns from',
    'log_loss': 'nats a comparison: mean over the comparisons of each prompt, '
    'then over prompts',
    'pick_loss': 'nats a prompt: the softmax over its replies, of the best one',
    'accuracy': 'share of comparisons in the right order, mean over prompts',
    'n_prompts': 'rankings behind it',
  },
  text=('loss', 'split'),
)

THEME = Theme(
  title='K-wise reward models',
  claims=(
    ClaimSpec(
      56,
      'All pairs of a prompt together',
      'Pairs of one prompt in one batch element overfit less than shuffled '
      'pairs at equal epochs.',
      f'{OUYANG}, section 3.5',
      'held-out loss a comparison, K-wise - shuffled < 0 after one epoch and '
      'after two (equal pairs, weights, updates and rates)',
      together,
      tables=('ranking_curve',),
      figure='ranking_losses',
    ),
    ClaimSpec(
      57,
      'A second epoch overfits',
      'Validation loss of the reward model is worse after a second epoch.',
      f'{OUYANG}, App. C.2',
      'held-out loss a comparison, K-wise after two epochs - after one > 0 '
      '(each with a decay of its own)',
      second_epoch,
      tables=('ranking_curve',),
      figure='ranking_losses',
    ),
  ),
  tables=(RANKING_CURVE,),
  drawings=(ranking_losses,),
  roles={
    'rankings': 'rankings of K replies by simulated workers',
    'ranked_kwise_1': 'PM of all comparisons of a prompt together, one epoch',
    'ranked_kwise_2': 'the same, two epochs',
    'ranked_shuffled_1': 'PM of the same comparisons shuffled, one epoch',
    'ranked_shuffled_2': 'the same, two epochs',
    'ranked_best_of_1': 'PM of the best reply of each ranking, one epoch',
  },
)
