"""Claims 11, 12 and 27 on runs of a few checkpoints."""

import math

import pytest

from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.claims import ppo
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small


def run(column, values, role='linear', **more):
  """Checkpoints 10 samples apart, newest first: order must not matter."""
  rows = [
    {'role': role, 'samples': 10 * i, 'iteration': i, column: value, **more}
    for i, value in enumerate(values)
  ]
  return rows[::-1]


def tables(rows):
  return {'rl_curve': small.table('rl_curve', rows)}


def test_the_gain_is_last_less_first_of_each_size():
  rows = []
  for seed, last in zip(small.SEEDS, (3.0, 4.0, 5.0), strict=True):
    rows += run('train_pm', [1.0, 9.0, last], seed=seed)
    rows += run('train_pm', [1.0, 9.0, 0.5], seed=seed, size='S')
  rows += run('train_pm', [0.0, 0.0, 99.0], role='inert')
  found = ppo.ppo_gain(tables(rows))
  assert small.numbers(found) == {'gain_S': -0.5, 'gain_L': 3.0}
  wanted = small.interval([2.0, 3.0, 4.0])
  assert small.ends(found, 'gain_L') == pytest.approx(wanted)
  assert set(small.sides(found).values()) == {('>', 0.0)}
  assert intervals.verdict(found.contrasts) == 'fail'


def test_the_halves_of_a_seed_are_one_unit():
  rows = run('train_pm', [0.0, 1.0]) + run('train_pm', [0.0, 3.0], half='b')
  found = ppo.ppo_gain(tables(rows))
  assert small.numbers(found) == {'gain_L': 2.0}
  assert found.contrasts[0].interval.n == 1


def twins(linear, inert, **more):
  return run('train_pm', linear, **more) + run(
    'train_pm', inert, 'inert', **more
  )


def test_the_difference_of_the_penalties_is_a_share_of_the_gain():
  """(2.9 - 3) / (3 - 1) = -.05 at the last checkpoint of both."""
  rows = twins([1.0, 2.0, 3.0], [1.0, 2.0, 2.9])
  for row in rows:
    row['kl'] = row['samples'] * (0.45 if row['role'] == 'linear' else 0.2)
  found = ppo.inert_penalty(tables(rows))
  assert small.numbers(found) == pytest.approx(
    {'difference_L': -0.05, 'gain_L': 2, 'sqrt_kl_L': 3, 'sqrt_kl_inert_L': 2}
  )
  assert small.sides(found) == {'difference_L': ('inside', (-0.05, 0.05))}


def test_twins_are_compared_at_the_last_samples_that_both_have():
  rows = twins([1.0, 2.0, 9.0], [1.0, 2.5])
  found = ppo.inert_penalty(tables(rows))
  assert small.numbers(found)['difference_L'] == pytest.approx(0.5)


def test_a_twin_shares_seed_size_and_half():
  rows = run('train_pm', [1.0, 2.0])
  for other in ({'seed': 1}, {'size': 'S'}, {'half': 'b'}):
    alone = rows + run('train_pm', [1.0, 2.0], 'inert', **other)
    with pytest.raises(NotRunError, match='no run of role inert has its'):
      ppo.inert_penalty(tables(alone))
  start = rows + run('train_pm', [1.0], 'inert')  # they share pi_0 alone
  with pytest.raises(NotRunError, match='no run of role inert has its'):
    ppo.inert_penalty(tables(start))


def test_without_a_gain_there_is_no_share_of_it():
  rows = []
  for seed in small.SEEDS:
    rows += twins([1.0, 2.0 - 0.75 * seed], [1.0, 2.0], seed=seed)
  found = ppo.inert_penalty(tables(rows))
  assert math.isnan(small.ends(found, 'difference_L')[0])
  assert intervals.verdict(found.contrasts) == 'inconclusive'


def test_entropy_falls_and_the_length_stands_beside_it():
  rows = []
  for seed in small.SEEDS:
    for row in run('entropy', [2.0, 0.1, 1.5 - seed / 10], seed=seed):
      rows.append(row | {'length': 10 + row['samples']})
  found = ppo.entropy(tables(rows))
  assert small.numbers(found) == pytest.approx(
    {
      'entropy_change_L': -0.6,
      'entropy_start_L': 2.0,
      'entropy_end_L': 1.4,
      'length_start_L': 10,
      'length_end_L': 30,
    }
  )
  assert small.sides(found) == {'entropy_change_L': ('<', 0.0)}
