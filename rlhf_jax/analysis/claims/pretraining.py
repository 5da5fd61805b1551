"""Claims 53 and 54: preference-model pretraining (Askell et al., 4)."""

import pandas as pd

from rlhf_jax.analysis.claims.spec import ASKELL, ClaimSpec, Theme
from rlhf_jax.analysis.drawings.pretraining import accuracy_after_pretraining
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  select,
)
from rlhf_jax.analysis.scaling import accuracy_column

ROLES = ('after_none', 'after_ranked', 'after_binary')
FEW = (400, 600)  # finetuning pairs that are called 500
MANY = 10_000  # and those that are called 10,000, at least


def accuracies(tables) -> pd.DataFrame:
  """Accuracy by seed (rows), and by role and number of pairs (columns)."""
  rows = select(tables, 'pm_curve', role=list(ROLES), eval_subset='mix')
  column = accuracy_column(rows)
  return rows.pivot_table(
    index='seed',
    columns=['role', 'pairs'],
    values=column,
    aggfunc=lambda v: v.mean(skipna=False),
    dropna=False,
  )


def _at(table, role, pairs):
  """Accuracies of a role at a number of pairs."""
  if (role, pairs) not in table:
    raise NotRunError(f'no run of role {role} at {pairs} pairs')
  return table[role, pairs]


def _few(table):
  """The number of pairs that is called 500."""
  there = sorted(set(table.columns.get_level_values('pairs')))
  found = [pairs for pairs in there if FEW[0] <= pairs <= FEW[1]]
  if not found:
    raise NotRunError(f'finetuned on {there} pairs; wanted 500 or so')
  return found[-1]


def _many(table):
  """The number of pairs that is called 10,000."""
  there = sorted(set(table.columns.get_level_values('pairs')))
  if there[-1] < MANY:
    raise NotRunError(f'finetuned on {there} pairs; wanted {MANY:,} as well')
  return there[-1]


def _means(table):
  """Mean accuracy of every cell, as side numbers."""
  return {
    f'{role}_{pairs:g}': float(table[role, pairs].mean(skipna=False))
    for role, pairs in table.columns
  }


def helps_most_with_few(tables) -> Finding:
  """Claim 53: gain of tagged pretraining at 500 and at 10,000 pairs."""
  table = accuracies(tables)
  few, many = (
    _at(table, 'after_binary', pairs) - _at(table, 'after_none', pairs)
    for pairs in (_few(table), _many(table))
  )
  contrasts = [
    contrast('gain_many', many, '>', 0.0),
    contrast('gain_few_minus_many', few - many, '>', 0.0),
  ]
  gain = {'gain_few': float(few.mean(skipna=False))}
  return Finding(contrasts, gain | _means(table))


def binary_transfers(tables) -> Finding:
  """Claim 54: tagged less ranked pretraining at 500 pairs."""
  table = accuracies(tables)
  pairs = _few(table)
  binary, ranked, none = (
    _at(table, f'after_{before}', pairs)
    for before in ('binary', 'ranked', 'none')
  )
  gains = {
    'gain_binary': float((binary - none).mean(skipna=False)),
    'gain_ranked': float((ranked - none).mean(skipna=False)),
  }
  found = contrast('binary_minus_ranked', binary - ranked, '>=', 0.0)
  return Finding([found], gains | _means(table))


THEME = Theme(
  title='Preference-model pretraining',
  claims=(
    ClaimSpec(
      53,
      'PMP helps most with few pairs',
      'Preference-model pretraining gains more at 500 pairs than at 10,000.',
      f'{ASKELL}, section 4.2',
      'gain at 10k > 0; gain at 500 - gain at 10k > 0',
      helps_most_with_few,
      tables=('pm_curve',),
      figure='accuracy_after_pretraining',
    ),
    ClaimSpec(
      54,
      'Binary PMP transfers better',
      'GOOD/BAD-tagged pretraining is at least as good as ranked pretraining '
      'at 500 pairs.',
      f'{ASKELL}, section 4.3',
      'accuracy difference >= 0',
      binary_transfers,
      tables=('pm_curve',),
      figure='accuracy_after_pretraining',
    ),
  ),
  drawings=(accuracy_after_pretraining,),
  roles={
    'forum': 'pairs of a simulated forum',
    'pmp_ranked': 'a PM of ranked pairs of the forum',
    'pmp_binary': 'a PM of its texts, each with a tag GOOD or BAD',
    'after_none': 'a PM of some comparisons, from the language model',
    'after_ranked': 'the same from pmp_ranked',
    'after_binary': 'the same from pmp_binary',
  },
)
