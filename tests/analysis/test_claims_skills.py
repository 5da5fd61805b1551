"""Claims 29 and 43 on numbers that are written down."""

import math

import pytest

from rlhf_jax.analysis.claims import skills
from rlhf_jax.analysis.drawings import skills as drawings
from rlhf_jax.analysis.figures import save
from rlhf_jax.analysis.findings import NotRunError
from tests.analysis import small

TASKS = ('hh', 'summaries', 'oneliners')
TAX = {'S': 0.05, 'M': 0.03, 'L': 0.01}


def policies(tax=TAX, mixed=-0.02, names=('pi_0', 'hh', 'mixed'), sizes='SML'):
  """Skills lose by size; the world's own requests win ten points."""
  lost = {'pi_0': lambda size: 0.0, 'hh': tax.get, 'mixed': lambda size: mixed}
  rows = []
  for seed in small.SEEDS:
    for size in sizes:
      for task in TASKS:
        for policy in names:
          own = lost[policy](size) + 0.01 * (seed - 1) * (policy == 'hh')
          own = -0.1 * (policy != 'pi_0') if task == 'hh' else own
          row = {'role': 'capability', 'seed': seed, 'size': size}
          row |= {'policy': policy, 'task': task}
          # One skill is easier: the mean of both is what counts.
          level = 0.9 if task == 'oneliners' else 0.7
          row |= {'accuracy': level - own}
          row['passed'] = math.nan if task == 'hh' else 0.4 - 2 * own
          rows.append(row)
  return {'capability': small.table('capability', rows)}


def test_the_tax_at_the_smallest_size_and_its_slope_by_hand():
  found = skills.alignment_tax(policies())
  numbers = small.numbers(found)
  assert numbers['loss_at_smallest'] == pytest.approx(0.05)
  # Sizes are a factor of four apart: a line through .05, .03, .01.
  assert numbers['slope'] == pytest.approx(-0.02 / math.log(4))
  assert numbers['tax_M'] == pytest.approx(0.03)
  assert numbers['tax_mixed_L'] == pytest.approx(-0.02)  # a bonus
  assert numbers['written_tax_S'] == pytest.approx(0.1)
  assert numbers['own_tax_S'] == pytest.approx(-0.1)
  assert small.ends(found, 'loss_at_smallest') == pytest.approx(
    small.interval([0.04, 0.05, 0.06])
  )
  assert small.sides(found) == {
    'loss_at_smallest': ('>', 0.0),
    'slope': ('<', 0.0),
  }


def test_without_a_policy_or_with_two_sizes_nothing_is_said():
  with pytest.raises(NotRunError, match='lacks hh'):
    skills.alignment_tax(policies(names=('pi_0', 'mixed')))
  with pytest.raises(NotRunError, match='2 sizes; wanted 3'):
    skills.alignment_tax(policies(sizes='SL'))
  found = skills.alignment_tax(policies(names=('pi_0', 'hh')))
  assert math.isnan(small.numbers(found)['tax_mixed_S'])


def models(loss, sizes='SL', pms=(*TASKS, 'mixed')):
  rows = []
  for seed in small.SEEDS:
    for size in sizes:
      for task in TASKS:
        for pm in (task, 'mixed'):
          lost = loss.get(task, 0.0) * (size == 'L') * (pm == 'mixed')
          accuracy = 0.7 + 0.01 * seed - lost
          row = {'role': 'capability', 'seed': seed, 'size': size, 'pm': pm}
          row |= {'task': task, 'expected_accuracy': accuracy}
          rows.append(row | {'accuracy': 0.5})
  rows = [row for row in rows if row['pm'] in pms]
  return {'skill_pms': small.table('skill_pms', rows)}


def test_what_mixing_costs_the_largest_pm_on_each_task():
  found = skills.skill_mixed_in(models({'hh': 0.004, 'oneliners': -0.01}))
  numbers = small.numbers(found)
  assert numbers['loss_hh'] == pytest.approx(0.004)
  assert numbers['loss_summaries'] == pytest.approx(0.0, abs=1e-12)
  assert numbers['loss_oneliners'] == pytest.approx(-0.01)
  assert numbers['loss_hh_S'] == pytest.approx(0.0, abs=1e-12)
  bounds = small.sides(found)
  assert bounds == {f'loss_{task}': ('<', 0.01) for task in TASKS}
  with pytest.raises(NotRunError, match='pm=hh'):
    skills.skill_mixed_in(models({}, pms=('summaries', 'oneliners', 'mixed')))


def test_both_figures_are_drawn(tmp_path):
  tables = policies() | models({})
  for draw in (drawings.mixed_skills, drawings.capability_by_size):
    assert save(draw, tables, tmp_path).stat().st_size > 5000
  assert save(drawings.mixed_skills, policies(), tmp_path) is None
