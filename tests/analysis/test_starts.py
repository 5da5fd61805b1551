"""Policies from a distilled model beside plain ones, by hand and on axes."""

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import starts
from rlhf_jax.analysis.drawings import distillation
from rlhf_jax.analysis.findings import NotHereError, NotRunError
from tests.analysis import small
from tests.analysis.test_drawings import axes_of, points

# Role: (score of pi_0, gain, KL at the end); a seed adds a tenth of each to it.
RUNS = {
  'linear': (1.0, 2.0, 16.0),
  'from_lm': (0.0, 3.0, 25.0),
  'from_distilled': (2.0, 1.0, 9.0),
}


def curve(roles=tuple(RUNS), **more):
  """Three checkpoints a run; at the middle one half of the gain is there."""
  rows = []
  for role in roles:
    start, gain, kl = RUNS[role]
    for seed in small.SEEDS:
      for i in range(3):
        score = start + gain * i / 2 * (1 + seed / 10)
        rows.append(
          {'role': role, 'seed': seed, 'size': 'S', 'samples': 8 * i}
          | {'iteration': i, 'kl': kl * i**2 / 4 * (1 + seed / 10)}
          | {'train_pm': score, 'test_pm': score / 2, 'gold': -score}
          | more
        )
  return small.table('rl_curve', rows[::-1])


def beside():
  """The same, and plain runs of another size, another half, another seed."""
  found = [curve()]
  for change in ({'size': 'L'}, {'half': 'b'}):
    found.append(curve(['linear'], gold=99.0, **change))
  late = curve(['linear'], gold=99.0)
  found.append(late.assign(seed=late['seed'] + 7, run_id=late['run_id'] + 'x'))
  return {'rl_curve': pd.concat(found, ignore_index=True)}


def test_what_runs_begin_and_end_at_beside_those_of_their_size_and_seeds():
  """And an average written as a loop over the rows."""
  tables = beside()
  found = starts.ends(starts.runs_of(tables))
  assert len(found) == 9 and found.index.is_unique
  for (role, seed), row in found.iterrows():
    start, gain, kl = RUNS[role]
    scale = 1 + seed / 10
    assert row['kl'] == pytest.approx(kl * scale)
    assert row['train_start'] == start and row['gold_start'] == -start
    assert row['train_gain'] == pytest.approx(gain * scale)
    assert row['test_gain'] == pytest.approx(gain * scale / 2)
    assert row['gold_gain'] == pytest.approx(-gain * scale)


def naive_difference(rows, column, role, other):
  """Last less first of each run, seed by seed."""
  differences = []
  for seed in small.SEEDS:
    gain = {}
    for name in (role, other):
      own = [row for row in rows if row['role'] == name and row['seed'] == seed]
      own.sort(key=lambda row: row['samples'])
      gain[name] = own[-1][column] - own[0][column]
    differences.append(gain[role] - gain[other])
  return differences


def test_differences_to_the_plain_start_are_paired_by_seed():
  rows = curve().to_dict('records')
  found = starts.policies_by_start({'rl_curve': curve()})
  numbers = found['measured']
  assert (found['verdict'], found['seeds']) == ('reported', 3)
  for role in ('from_lm', 'from_distilled'):
    name = f'train_gain_{role}_less_linear'
    values = naive_difference(rows, 'train_pm', role, 'linear')
    assert numbers[name] == pytest.approx(np.mean(values))
    low, high = small.interval(values)
    assert numbers[f'{name}_low'] == pytest.approx(low)
    assert numbers[f'{name}_high'] == pytest.approx(high)
  assert numbers['kl_from_distilled'] == pytest.approx(9 * 1.1)
  assert numbers['train_start_from_distilled_less_linear'] == 1


def test_a_study_of_other_policies_has_nothing_to_say_of_starts():
  for tables in ({}, {'rl_curve': curve(['linear'])}):
    with pytest.raises(NotHereError, match='no policies from a distilled'):
      starts.policies_by_start(tables)
  with pytest.raises(NotRunError, match='from_distilled'):
    axes_of(distillation.policies_from_distilled, 'rl_curve', curve(['linear']))


def test_policies_alone_are_shown_without_what_they_are_beside():
  frame = curve(['from_distilled'], gold=np.nan)
  found = starts.policies_by_start({'rl_curve': frame})['measured']
  assert not any('less' in name or 'gold' in name for name in found)
  axes = axes_of(distillation.policies_from_distilled, 'rl_curve', frame)
  titles = [axis.get_title() for axis in axes]
  assert titles == ['train PM', 'test PM', 'final KL (nats per reply)']


def test_each_line_begins_at_the_score_of_its_own_start():
  """KL of a seed is 1, 1.1 and 1.2 times that of the first."""
  axes = axes_of(
    distillation.policies_from_distilled, 'rl_curve', beside()['rl_curve']
  )
  mean = float(np.mean(np.sqrt([1.0, 1.1, 1.2])))
  labels = {'plain': 'linear', 'of pages': 'from_lm'}
  for label, role in (labels | {'distilled': 'from_distilled'}).items():
    start, gain, kl = RUNS[role]
    wanted = [
      (0.0, start),
      (kl**0.5 / 2 * mean, start + gain / 2 * 1.1),
      (kl**0.5 * mean, start + gain * 1.1),
    ]
    np.testing.assert_allclose(points(axes[0], label), wanted, rtol=1e-6)
  ticks = [tick.get_text() for tick in axes[-1].get_xticklabels()]
  assert ticks == [*labels, 'distilled']
  assert axes[-1].get_ylim()[0] == 0
