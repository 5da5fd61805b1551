"""Rows of world_tax.csv on the accuracies of test_claims_skills."""

import pytest

from rlhf_jax.analysis import tax_by_size
from tests.analysis import small
from tests.analysis.test_claims_skills import TAX, policies


def test_rows_are_means_over_seeds_with_their_intervals():
  rows = tax_by_size.rows_of(policies())
  found = {(x['task'], x['policy'], x['size']): x for x in rows}
  assert len(found) == len(rows) == 4 * 2 * 3
  for size, tax in TAX.items():
    one = found['both skills', 'hh', size]
    assert one['tax'] == pytest.approx(tax) and one['seeds'] == 3
  one = found['both skills', 'hh', 'S']
  assert (one['low'], one['high']) == pytest.approx(
    small.interval([0.04, 0.05, 0.06])
  )
  # What RL asked for is a gain, and what it also asked for of the mixed one.
  assert found['hh', 'hh', 'S']['tax'] == pytest.approx(-0.1)
  assert found['oneliners', 'mixed', 'L']['tax'] == pytest.approx(-0.02)
  assert [x['size'] for x in rows[:6:2]] == ['S', 'M', 'L']


def test_a_policy_that_was_not_run_has_no_row():
  rows = tax_by_size.rows_of(policies(names=('pi_0', 'hh')))
  assert {row['policy'] for row in rows} == {'hh'}
