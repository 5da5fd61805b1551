"""Claim 52 on accuracies that are known."""

import math

import pytest

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims import imitation
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

KINDS = {
  'helpful': 'ranked',
  'harmless': 'ranked',
  'answer': 'binary',
  'refusal': 'binary',
}


def study(lead, seeds=small.SEEDS, sizes='SML'):
  """Rows of methods: imitation has .6, the others `lead` more.

  Args:
    lead: (seed, size, task) -> difference.
    seeds: of the study.
    sizes: of the ladder.
  """
  rows = []
  for seed in seeds:
    for size in sizes:
      for task, kind in KINDS.items():
        shared = {'role': 'compared', 'seed': seed, 'size': size}
        shared |= {'task': task, 'kind': kind}
        for method in ('ranked', 'binary', 'imitation'):
          more = 0.0 if method == 'imitation' else lead(seed, size, task)
          whole = 0.55 if method == 'imitation' else math.nan
          row = {'method': method, 'accuracy': 0.6 + more}
          rows.append(shared | row | {'accuracy_whole': whole})
  return {'methods': small.table('methods', rows)}


def rising(seed, size, task):
  """.04, .08, .12 by size on ranked tasks, seeds .01 apart; 0 on binary."""
  if KINDS[task] == 'binary':
    return 0.0
  return 0.04 * (1 + 'SML'.index(size)) + 0.01 * seed


def test_differences_and_slope_by_hand():
  found = imitation.ranking_against_imitation(study(rising))
  numbers = small.numbers(found)
  for size, value in (('S', 0.05), ('M', 0.09), ('L', 0.13)):
    assert numbers[f'ranked_{size}'] == pytest.approx(value)
    assert numbers[f'binary_{size}'] == pytest.approx(0.0)
  # .04 for each factor of four in parameters.
  assert numbers['slope'] == pytest.approx(0.04 / math.log(4))
  half = 0.01 * small.HALF_OF_THREE
  ends = small.ends(found, 'ranked_S')
  assert ends == pytest.approx([0.05 - half, 0.05 + half])
  assert small.sides(found)['ranked_S'] == ('>', 0.0)
  assert small.sides(found)['slope'] == ('>', 0.0)
  assert small.sides(found)['binary_L'] == ('inside', (-0.02, 0.02))
  assert intervals.verdict(found.contrasts) == 'pass'


def test_side_numbers_are_by_task_and_by_the_other_rule():
  lead = lambda seed, size, task: 0.1 * (task == 'helpful') + 0.01
  numbers = small.numbers(imitation.ranking_against_imitation(study(lead)))
  assert numbers['difference_helpful'] == pytest.approx(0.11)
  assert numbers['difference_refusal'] == pytest.approx(0.01)
  assert numbers['ranked_over_whole'] == pytest.approx(0.06 + 0.05)
  assert numbers['helpful_ranked'] == pytest.approx(0.71)
  assert numbers['helpful_imitation'] == pytest.approx(0.6)


@pytest.mark.parametrize(
  'lead',
  [
    lambda seed, size, task: -rising(seed, size, task),
    lambda seed, size, task: 0.1 - rising(0, size, task) / 2,  # falls
    lambda seed, size, task: rising(0, size, task) + 0.03,  # binary too
  ],
)
def test_what_is_otherwise_fails(lead):
  found = imitation.ranking_against_imitation(study(lead))
  assert intervals.verdict(found.contrasts) == 'fail'


def test_a_cell_without_a_method_is_not_run():
  tables = study(rising)
  rows = tables['methods']
  gone = (rows['method'] == 'imitation') & (rows['task'] == 'answer')
  tables['methods'] = rows[~(gone & (rows['seed'] == 1))]
  with pytest.raises(NotRunError, match='binary tasks: a run lacks one'):
    imitation.ranking_against_imitation(tables)


def test_one_size_is_not_run():
  with pytest.raises(NotRunError, match='one size'):
    imitation.ranking_against_imitation(study(rising, sizes='S'))
