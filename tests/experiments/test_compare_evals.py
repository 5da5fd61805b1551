"""Several models on the same questions: tables, figures, what is left out."""

import math

import pandas as pd
import pytest

from experiments import compare_evals
from experiments.harness import before_after, plan, session
from tests.analysis.test_claims_skills import policies

OPTIONS = dict(
  models=[], tasks=['piqa', 'lambada'], letters=['arc_easy'],
  few_shot=['piqa'], template='plain', data='', workdir='', limit=None,
  capability='',
)  # fmt: skip


def items(*right):
  return [
    {'item': str(i), 'logps': [0.0, 0.0], 'acc': x, 'acc_norm': 1 - x}
    for i, x in enumerate(right)
  ]


def test_a_row_has_the_paired_difference_and_says_whether_it_is_precise():
  unit = plan.Unit('piqa', 'cloze', 0, 'plain')
  sides = items(1, 0, 0, 1), items(1, 1, 0, 1)
  rows = before_after.unit_rows('plain', 'ppo', unit, sides)
  acc, norm = rows
  assert (acc['before'], acc['after'], acc['difference']) == (0.5, 0.75, 0.25)
  error = 0.5 / 2  # sd of 0, 1, 0, 0 is a half
  assert acc['stderr'] == pytest.approx(error) and not acc['precise']
  assert acc['high'] == pytest.approx(0.25 + 1.96 * error)
  # PIQA's headline is acc_norm, which counts letters.
  assert [acc['headline'], norm['headline']] == [False, True]
  same = before_after.unit_rows('plain', 'ppo', unit, [sides[0]] * 2)
  assert all(row['precise'] and row['difference'] == 0 for row in same)


def test_the_mean_of_tasks_has_the_error_of_a_mean_of_independent_ones():
  row = {'before_model': 'plain', 'after_model': 'ppo', 'template': 'plain'}
  row |= {'headline': True, 'shots': 0, 'before': 0.5, 'n': 10}
  rows = [
    row | {'name': 'a', 'form': 'cloze', 'after': 0.6, 'difference': 0.1},
    row | {'name': 'b', 'form': 'lastword', 'after': 0.3, 'difference': -0.2},
    row | {'name': 'c', 'form': 'letters', 'after': 0.9, 'difference': 0.4},
    row | {'name': 'd', 'form': 'cloze', 'after': 0.9, 'difference': 0.4},
  ]
  for one, error in zip(rows, (0.03, 0.04, 0.01, 0.01), strict=True):
    one['stderr'] = error
    one['task'] = one['name']
  rows[3] |= {'headline': False}
  rows.append(rows[0] | {'task': 'truthfulqa_mc2', 'name': 'e'})
  (found,) = before_after.mean_rows(rows)
  assert found['name'] == 'mean of tasks.cloze.0shot.plain'
  assert found['difference'] == pytest.approx(-0.05)
  assert found['stderr'] == pytest.approx(math.hypot(0.03, 0.04) / 2)
  assert found['n'] == 20 and not found['precise']


def test_models_that_are_not_there_are_left_out_with_what_makes_them(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'runs/sft').mkdir(parents=True)
  found, left_out = compare_evals.models_of([])
  assert list(found) == ['plain', 'prompted', 'sft']
  words = '\n'.join(left_out)
  assert 'distilled left out, runs/distilled is not there: no stage' in words
  assert '--config.ptx_text=DATA' in words
  assert words.count('--workdir=runs/ppo-') == 2 == words.count('train_pm_dir')
  found, left_out = compare_evals.models_of(['a=smollm2', 'b=runs/sft', 'c=no'])
  assert list(found) == ['a', 'b']
  assert left_out == [
    'c left out, no is not there: train it, or leave it out of --models'
  ]
  with pytest.raises(ValueError, match='two models or more .* got 1: b left'):
    compare_evals.models_of(['a=smollm2', 'b=no'])


def test_each_unit_is_measured_once_and_no_form_is_invented():
  units, left_out = compare_evals.units_of(OPTIONS | {'letters': ['lambada']})
  names = [unit.name for unit in units]
  assert names == [
    'piqa.cloze.0shot.plain',
    'lambada.lastword.0shot.plain',
    'piqa.cloze.5shot.plain',
  ]
  assert left_out == []
  units, _ = compare_evals.units_of(OPTIONS | {'tasks': []})
  assert len({unit.task for unit in units}) == len(plan.all_tasks())


@pytest.fixture
def harness(monkeypatch, tmp_path):
  """Two models, the second of which answers one question more."""
  asked = []

  def rows_of(units, options, tools, shown):
    found = []
    for unit in units:
      kept = session.rows_of_unit(options['workdir'], unit)
      if kept is None:
        asked.append((options['model'], unit.name))
        right = [1, 0, 0, 1] if options['model'] == 'smollm2' else [1, 1, 0, 1]
        row = {'name': unit.name, 'metric': 'acc', 'value': 0.5}
        kept = [row | {'stderr': 0.25, 'n': 4}]
        session.write_unit(options['workdir'], unit, kept, items(*right))
      shown(kept)
      found += kept
    return found

  monkeypatch.setattr(compare_evals.session, 'rows_of', rows_of)
  monkeypatch.setattr(compare_evals.session, 'require', lambda *_: None)
  monkeypatch.setattr(compare_evals, 'tools', lambda: None)
  return asked


def test_tables_and_figures_are_written_and_a_model_can_come_later(
  harness, tmp_path, capsys
):
  out = tmp_path / 'out'
  own = {'models': ['plain=smollm2', f'ppo={tmp_path}'], 'workdir': str(out)}
  policies()['capability'].to_csv(tmp_path / 'capability.csv', index=False)
  own |= {'capability': str(tmp_path / 'capability.csv')}
  compare_evals.run(OPTIONS | own)
  table = pd.read_csv(out / 'before_after.csv')
  assert len(harness) == 2 * 4 and set(table['after_model']) == {'ppo'}
  mean = table[table['task'] == 'mean of tasks'].iloc[0]
  # acc_norm of PIQA falls by a quarter, acc of LAMBADA rises by one.
  assert mean['difference'] == pytest.approx(0.0)
  assert 'mean of tasks' in capsys.readouterr().out
  for name in ('before_after', 'world_tax'):
    assert (out / f'{name}.svg').exists() and (out / f'{name}.png').exists()
  world = pd.read_csv(out / 'world_tax.csv')
  assert set(world['size']) == {'S', 'M', 'L'}
  later = tmp_path / 'later'
  later.mkdir()
  own['models'] += [f'ptx={later}']
  compare_evals.run(OPTIONS | own)
  assert [model for model, _ in harness[8:]] == [str(later)] * 4
  table = pd.read_csv(out / 'before_after.csv')
  assert set(table['after_model']) == {'ppo', 'ptx'}


def test_a_study_without_the_table_is_one_line(harness, tmp_path):
  own = {'models': ['plain=smollm2', f'ppo={tmp_path}']}
  own |= {'workdir': str(tmp_path / 'out'), 'capability': 'none.csv'}
  with pytest.raises(
    FileNotFoundError, match=r'none.csv is missing: .*=skills'
  ):
    compare_evals.run(OPTIONS | own)
  with pytest.raises(ValueError, match='--limit of 1 or more, got 0'):
    compare_evals.run(OPTIONS | own | {'limit': 0})
