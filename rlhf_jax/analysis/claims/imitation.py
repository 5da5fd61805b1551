"""Claim 52: imitation, discrimination and ranking (Askell et al., 3)."""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis.claims.spec import ASKELL, ClaimSpec, Table, Theme
from rlhf_jax.analysis.drawings.imitation import methods_by_size
from rlhf_jax.analysis.findings import (
  Finding,
  NotRunError,
  contrast,
  contrasts_by_size,
  keep,
  seed_means,
  select,
  sizes,
)

# Kind of task -> the method that is set against imitation there.
AGAINST = {'ranked': 'ranked', 'binary': 'binary'}
LEVEL = 0.02  # accuracies that differ by less are equal
RUN = ['seed', 'size', 'n_params']


def differences(tables, kind, rule='accuracy') -> pd.DataFrame:
  """Accuracy of the method for a kind of task less that of imitation.

  Args:
    tables: of the study.
    kind: 'ranked' or 'binary'.
    rule: column by which the imitator is judged: 'accuracy' (log-probability
      per token) or 'accuracy_whole'.

  Returns:
    Rows of seed, size, n_params, task, difference.

  Raises:
    NotRunError: if there is no such task, or a cell lacks a method.
  """
  rows = select(tables, 'methods', role='compared', kind=kind)
  keys = [*RUN, 'task']

  def of(method, column):
    own = keep(rows, 'methods.csv', method=method)
    return own.set_index(keys)[column].sort_index()

  ours, imitation = of(AGAINST[kind], 'accuracy'), of('imitation', rule)
  if not ours.index.equals(imitation.index):
    raise NotRunError(f'{kind} tasks: a run lacks one of the two methods')
  return (ours - imitation).rename('difference').reset_index()


def ranking_against_imitation(tables) -> Finding:
  """Claim 52: on ranked tasks at every size, and its slope; on binary ones.

  The unit is the seed; the tasks of a kind are averaged.
  """
  ranked, binary = differences(tables, 'ranked'), differences(tables, 'binary')
  if len(sizes(ranked)) < 2:
    raise NotRunError('one size; wanted another to compare')
  mean = ranked.groupby(RUN, as_index=False)['difference'].mean()
  slopes = [_slope(own) for _, own in mean.groupby('seed')]
  contrasts = [
    *contrasts_by_size(_named(ranked, 'ranked'), 'ranked', '>', 0.0),
    contrast('slope', slopes, '>', 0.0),
    *contrasts_by_size(
      _named(binary, 'binary'), 'binary', 'inside', (-LEVEL, LEVEL)
    ),
  ]
  return Finding(contrasts, _side_numbers(tables, ranked, binary))


def _slope(rows):
  """On ln P, of one seed; NaN of a single size."""
  if len(rows) < 2:
    return math.nan
  return np.polyfit(np.log(rows['n_params']), rows['difference'], 1)[0]


def _named(rows, kind):
  """The differences under the name of their kind."""
  return rows.rename(columns={'difference': kind})


def _side_numbers(tables, ranked, binary):
  """Differences by task, the other rule, and accuracies at the largest size."""
  both = pd.concat([ranked, binary])
  found = both.groupby('task')['difference'].mean().add_prefix('difference_')
  measured = found.to_dict()
  for kind in AGAINST:
    whole = differences(tables, kind, 'accuracy_whole')
    measured[f'{kind}_over_whole'] = seed_means(whole[['seed', 'difference']])[
      'difference'
    ].mean()
  rows = select(tables, 'methods', role='compared')
  top = rows[rows['n_params'] == rows['n_params'].max()]
  for (task, method), own in top.groupby(['task', 'method']):
    measured[f'{task}_{method}'] = own['accuracy'].mean()
  return {name: float(value) for name, value in measured.items()}


CELL = {
  'task': '`helpful` and `harmless`: two replies in the order of gold; '
  '`answer`: right against wrong; `refusal`: declining against helping',
  'method': '`ranked`: log loss of score differences; `binary`: log loss of '
  'good and of bad replies, each by itself; `imitation`: next-token loss of '
  'the good ones',
}
METHODS = Table(
  name='methods',
  meaning='a model that learned a task with an exact answer, tested on pairs '
  'that were held out',
  columns=CELL
  | {
    'kind': 'of the task: `ranked` or `binary`',
    'pairs': 'that it was trained on',
    'rate': 'multiple of the learning rate of its size, chosen before',
    'accuracy': 'share of pairs whose better reply scores higher, an imitator '
    'by its log-probability per token',
    'accuracy_whole': 'an imitator by its whole log-probability; NaN of others',
    'n_eval': 'pairs of the test',
  },
  text=('task', 'method', 'kind'),
)
METHOD_RATES = Table(
  name='method_rates',
  meaning='the choice of a rate, from one grid for all methods and sizes',
  columns=CELL
  | {
    'grid': 'rates that were tried, as multiples of the rate of the size',
    'accuracies': 'mean accuracy over development seeds on validation pairs, '
    'of each rate of the grid',
    'chosen': 'rate of the best one',
  },
  text=('task', 'method', 'grid', 'accuracies'),
  heading='Learning rates: the grid, and what was chosen',
)

THEME = Theme(
  title='Imitation against ranking',
  claims=(
    ClaimSpec(
      52,
      'Ranking beats imitation',
      'On ranked data PMs beat imitation, more so at larger sizes; on binary '
      'data they are equal.',
      f'{ASKELL}, section 3.2',
      'ranked: difference > 0 at every size, slope on ln P > 0; binary: inside '
      '+-2 points',
      ranking_against_imitation,
      tables=('methods',),
      figure='methods_by_size',
    ),
  ),
  tables=(METHODS, METHOD_RATES),
  drawings=(methods_by_size,),
  roles={
    'tasks': 'pairs of the tasks with an exact answer',
    'tuned': 'a grid of learning rates for every method and task of a size, on '
    'development seeds',
    'compared': 'imitation, binary discrimination and ranking on the same '
    'pairs',
  },
)
