"""Claim 37 on accuracies that are written down."""

import math

import pytest

from rlhf_jax.analysis.claims import tension
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

CROSS = {('helpful', 'harmless'): 0.4, ('harmless', 'helpful'): 0.3}
OWN = {('helpful', 'helpful'): 0.7, ('harmless', 'harmless'): 0.8}


def rows(seed=0, shift=0.0, **more):
  """A PM of each objective at its end and, much better, before it."""
  found = []
  for (train, test), accuracy in (CROSS | OWN).items():
    for pairs, value in ((50, 0.99), (100, accuracy + shift)):
      row = {'seed': seed, 'pairs': pairs, 'expected_accuracy': value}
      row |= {'train_subset': train, 'eval_subset': test}
      row['run_id'] = f'{train}-{seed}-{more}'
      found.append(row | more)
  return found


def measure(found):
  table = small.table('pm_curve', found, role='single')
  return tension.cross_accuracy({'pm_curve': table})


def test_the_last_checkpoint_of_each_pm_on_the_other_objective():
  found = measure(
    [
      r
      for s, shift in zip(small.SEEDS, (0, 0.01, 0.02), strict=True)
      for r in rows(s, shift)
    ]
  )
  assert small.numbers(found) == pytest.approx(
    {
      'helpful_on_harmless': 0.41,
      'harmless_on_helpful': 0.31,
      'helpful_on_helpful': 0.71,
      'harmless_on_harmless': 0.81,
    },
    abs=1e-4,  # the mean of log-odds is a little beside that of accuracies
  )
  wanted = small.logit_interval([0.40, 0.41, 0.42])
  assert small.ends(found, 'helpful_on_harmless') == pytest.approx(wanted)
  assert set(small.sides(found).values()) == {('<', 0.5)}
  assert set(small.sides(found)) == {
    'helpful_on_harmless',
    'harmless_on_helpful',
  }


def test_only_the_largest_pm_of_the_role_counts():
  odd = rows(shift=0.2, size='S') + rows(shift=0.2, role='mixture')
  numbers = small.numbers(measure(rows() + odd))
  assert numbers['helpful_on_harmless'] == pytest.approx(0.4)


def test_sampled_accuracy_serves_where_no_label_is_known():
  found = [
    row | {'accuracy': row['expected_accuracy'], 'expected_accuracy': math.nan}
    for row in rows()
  ]
  numbers = small.numbers(measure(found))
  assert numbers['helpful_on_harmless'] == pytest.approx(0.4)
  for row in found:
    row['accuracy'] = math.nan
  with pytest.raises(NotRunError, match='accuracy is empty: helpful PM on'):
    measure(found)


def test_one_objective_alone_is_not_run():
  only = [row for row in rows() if row['train_subset'] == 'helpful']
  with pytest.raises(NotRunError, match='train_subset=harmless'):
    measure(only)
