"""Claims 29 and 43: capability after RL, and skills mixed in (Bai et al.)."""

import numpy as np
import pandas as pd

from rlhf_jax.analysis import mixtures
from rlhf_jax.analysis.claims.spec import BAI, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.skills import capability_by_size, mixed_skills
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  keep,
  largest,
  means_by_size,
  select,
)

OWN, SKILLS, ALL = 'hh', ['summaries', 'oneliners'], 'mixed'
MARGIN = 0.01  # of accuracy
MIN_SIZES = 3
KEYS = ['seed', 'size', 'n_params']


def losses(tables, column='accuracy', tasks=SKILLS) -> pd.DataFrame:
  """Share of right choices, or another column, before RL less after it.

  Args:
    tables: of which `capability` is read.
    column: of it.
    tasks: whose mean is taken.

  Returns:
    Rows of seed, size, n_params; `tax`, after RL on the world's own requests,
    and `tax_mixed`, after RL on all, NaN where there was none.

  Raises:
    NotRunError: if a policy is missing.
  """
  rows = select(tables, 'capability', task=list(tasks))
  table = rows.pivot_table(index=KEYS, columns='policy', values=column)
  lacking = {'pi_0', OWN} - set(table)
  if lacking:
    raise NotRunError(f'capability.csv lacks {", ".join(sorted(lacking))}')
  table[ALL] = table.get(ALL, np.nan)
  found = {'tax': table['pi_0'] - table[OWN]}
  found['tax_mixed'] = table['pi_0'] - table[ALL]
  return pd.DataFrame(found).dropna(how='all').reset_index()


def alignment_tax(tables) -> Finding:
  """Claim 29: the loss at the smallest size, and its slope on ln P, by seed.

  What RL on all requests, and right answers that policies write, lose stands
  beside it.
  """
  found = losses(tables)
  if found['size'].nunique() < MIN_SIZES:
    raise NotRunError(f'{found["size"].nunique()} sizes; wanted {MIN_SIZES}')
  smallest = found[found['n_params'] == found['n_params'].min()]
  slopes = [
    mixtures.slope_on_size(own, 'tax') for _, own in found.groupby('seed')
  ]
  written = losses(tables, 'passed').add_prefix('written_')
  written = written.rename(columns={f'written_{key}': key for key in KEYS})
  own = losses(tables, tasks=[OWN]).rename(columns={'tax': 'own_tax'})
  return Finding(
    [
      contrast('loss_at_smallest', smallest.set_index('seed')['tax'], '>', 0.0),
      contrast('slope', slopes, '<', 0.0),
    ],
    means_by_size(found, 'tax', 'tax_mixed')
    | means_by_size(written, 'written_tax', 'written_tax_mixed')
    | means_by_size(own, 'own_tax'),
    'share of right choices lost, mean of both skills, which RL did not ask '
    'for; below 0 it is a bonus',
  )


def mixed_losses(tables) -> pd.DataFrame:
  """Accuracy of the PM of a task alone less that of the PM of all tasks.

  Returns:
    Rows of seed, size, n_params, task, loss.

  Raises:
    NotRunError: if a task lacks one of the two.
  """
  rows = select(tables, 'skill_pms')
  column = 'expected_accuracy'
  if rows[column].isna().all():
    column = 'accuracy'
  keys, parts = [*KEYS, 'task'], []
  for task in (OWN, *SKILLS):
    own = keep(rows, 'skill_pms.csv', task=task)
    alone, mixed = (
      keep(own, 'skill_pms.csv', pm=pm).set_index(keys)[column].sort_index()
      for pm in (task, ALL)
    )
    if not alone.index.equals(mixed.index):
      raise NotRunError(f'{task}: a seed or size lacks one of the two PMs')
    parts.append((alone - mixed).rename('loss').reset_index())
  return pd.concat(parts, ignore_index=True)


def skill_mixed_in(tables) -> Finding:
  """Claim 43: what mixing costs the largest PM, on each task."""
  rows = mixed_losses(tables)
  top = largest(rows).set_index('seed')
  return Finding(
    [
      contrast(f'loss_{task}', top[top['task'] == task]['loss'], '<', MARGIN)
      for task in (OWN, *SKILLS)
    ],
    {
      f'loss_{task}_{size}': float(own['loss'].mean())
      for (task, size), own in rows.groupby(['task', 'size'])
    },
    'accuracy of the PM of the task alone less that of all tasks',
  )


TASK = '`hh` (requests of the world), `summaries` or `oneliners`'
SKILL_PMS = Table(
  name='skill_pms',
  meaning='a PM of one task, or of all, on held-out pairs of a task',
  columns={
    'pm': f'what it was trained on: {TASK}, or `mixed`: all three',
    'task': f'of the pairs: {TASK}',
    'accuracy': 'share of pairs whose preferred reply scores higher',
    'expected_accuracy': 'the same, expected over the labels',
    'n_eval': 'pairs behind it',
  },
  text=('pm', 'task'),
)
CAPABILITY = Table(
  name='capability',
  meaning='a policy on questions with an exact answer, before and after RL',
  columns={
    'policy': '`pi_0`, or after RL on requests of the world (`hh`) or on those '
    'and the skills (`mixed`)',
    'task': f'of the questions: {TASK}',
    'accuracy': 'share of choices in which the right answer is likelier than '
    'one that differs in a part',
    'n_choices': 'choices behind it',
    'passed': "share of the policy's own answers that the checker passes; NaN "
    'of `hh`',
    'gold': 'their mean gold score; NaN of `hh`',
    'n_samples': 'answers behind it',
  },
  text=('policy', 'task'),
)

THEME = Theme(
  title='Alignment tax and specialised skills',
  claims=(
    ClaimSpec(
      29,
      'Small models pay an alignment tax',
      'RLHF costs small models some capability, and the loss shrinks with '
      'size.',
      f'{BAI}, Figs. 3 and 28',
      'share of right choices of skills that RL did not ask for, before - '
      'after RL: at the smallest size > 0; slope on ln P < 0, over >= 3 sizes',
      alignment_tax,
      tables=('capability',),
      figure='capability_by_size',
      pm_role='skill_hh',
    ),
    ClaimSpec(
      43,
      'A skill can be mixed in',
      'A PM of dialogue and a third task loses little on either.',
      f'{BAI}, Fig. 20',
      'accuracy of the PM of a task alone - that of all tasks < 1 point, on '
      'requests of the world, summaries and lines of Python, at the largest '
      'size',
      skill_mixed_in,
      tables=('skill_pms',),
      figure='mixed_skills',
    ),
  ),
  tables=(SKILL_PMS, CAPABILITY),
  drawings=(mixed_skills, capability_by_size),
  roles={
    'skill_hh': 'a PM of requests of the world, written by models that know '
    'the skills; or its pairs',
    'skill_summaries': 'a PM of summaries, or its pairs',
    'skill_oneliners': 'a PM of lines of Python, or its pairs',
    'skill_mixed': 'a PM of all three, as many pairs of each; or its pairs',
    'tax': 'PPO on requests of the world alone, under the largest PM of them',
    'tax_mixed': 'PPO on these and the skills, under the largest PM of all',
    'capability': 'PMs and policies of a size on the skills',
  },
)
