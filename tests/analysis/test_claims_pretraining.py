"""Claims 53 and 54 on accuracies that are known."""

import pytest

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims import pretraining
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

COUNTS = (128, 512, 10_240)


def study(gain, behind=lambda seed: 0.0, counts=COUNTS):
  """Rows of pm_curve: .6 without pretraining.

  Args:
    gain: (seed, pairs) -> what tagged pretraining adds.
    behind: seed -> what ranked pretraining adds less.
    counts: numbers of finetuning pairs.
  """
  rows = []
  for seed in small.SEEDS:
    for pairs in counts:
      more = gain(seed, pairs)
      for role, accuracy in (
        ('after_none', 0.6),
        ('after_ranked', 0.6 + more - behind(seed)),
        ('after_binary', 0.6 + more),
      ):
        for subset in ('mix', 'helpful'):
          row = {'role': role, 'seed': seed, 'pairs': pairs}
          row |= {'eval_subset': subset, 'expected_accuracy': accuracy}
          rows.append(row | {'accuracy': 0.0})
  return {'pm_curve': small.table('pm_curve', rows)}


def falling(seed, pairs):
  """.08 at 512 and .03 at 10,240; seeds .01 apart."""
  return {128: 0.1, 512: 0.08, 10_240: 0.03}[pairs] + 0.01 * (seed - 1)


def test_gains_by_hand():
  found = pretraining.helps_most_with_few(study(falling))
  numbers = small.numbers(found)
  assert numbers['gain_many'] == pytest.approx(0.03)
  assert numbers['gain_few'] == pytest.approx(0.08)
  assert numbers['gain_few_minus_many'] == pytest.approx(0.05)
  assert numbers['after_none_512'] == pytest.approx(0.6)
  half = 0.01 * small.HALF_OF_THREE
  ends = small.ends(found, 'gain_many')
  assert ends == pytest.approx([0.03 - half, 0.03 + half])
  assert small.sides(found) == {
    'gain_many': ('>', 0.0),
    'gain_few_minus_many': ('>', 0.0),
  }
  assert intervals.verdict(found.contrasts) == 'pass'


def test_a_gain_that_is_larger_with_many_pairs_fails():
  rising = lambda seed, pairs: 0.01 + pairs / 1e5
  found = pretraining.helps_most_with_few(study(rising))
  assert intervals.verdict(found.contrasts) == 'fail'


@pytest.mark.parametrize(('lead', 'verdict'), [(0.02, 'pass'), (-0.02, 'fail')])
def test_tagged_less_ranked_by_hand(lead, verdict):
  tables = study(falling, lambda seed: lead + 0.001 * (seed - 1))
  found = pretraining.binary_transfers(tables)
  numbers = small.numbers(found)
  assert numbers['binary_minus_ranked'] == pytest.approx(lead)
  assert numbers['gain_binary'] == pytest.approx(0.08)
  assert numbers['gain_ranked'] == pytest.approx(0.08 - lead)
  assert small.sides(found) == {'binary_minus_ranked': ('>=', 0.0)}
  assert intervals.verdict(found.contrasts) == verdict


def test_runs_of_other_sizes_of_data_are_not_run():
  few = study(falling, counts=(128, 512))
  with pytest.raises(NotRunError, match='wanted 10,000 as well'):
    pretraining.helps_most_with_few(few)
  many = study(falling, counts=(128, 10_240))
  with pytest.raises(NotRunError, match='wanted 500 or so'):
    pretraining.binary_transfers(many)


def test_a_missing_kind_of_pretraining_is_not_run():
  tables = study(falling)
  rows = tables['pm_curve']
  tables['pm_curve'] = rows[rows['role'] != 'after_ranked']
  with pytest.raises(NotRunError, match='no run of role after_ranked at 512'):
    pretraining.binary_transfers(tables)
