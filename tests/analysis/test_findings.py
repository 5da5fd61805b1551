import math

import pandas as pd
import pytest

from rlhf_jax.analysis import findings
from tests.analysis import small

FRAME = pd.DataFrame(
  {
    'run_id': ['a', 'a', 'b', 'c'],
    'seed': [0, 0, 0, 1],
    'size': ['L', 'L', 'S', 'S'],
    'n_params': [9, 9, 2, 2],
    'pairs': [1, 5, 3, 2],
    'x': [1.0, 2.0, 4.0, 8.0],
  }
)


def test_select_keeps_rows_where_every_column_has_one_of_its_values():
  tables = {'t': FRAME}
  found = findings.select(tables, 't', seed=0, size='L')
  assert list(found['x']) == [1, 2]
  found = findings.select(tables, 't', pairs=[2, 3], size=['S'])
  assert list(found['x']) == [4, 8]
  assert len(findings.select(tables, 't')) == 4


@pytest.mark.parametrize(
  ('name', 'where', 'message'),
  [
    ('other', {}, 'no table other.csv'),
    ('t', {'seed': 7}, 't.csv has no rows with seed=7'),
    ('t', {'size': 'L', 'seed': 1}, 't.csv has no rows with size=L, seed=1'),
  ],
)
def test_what_is_not_there_is_said(name, where, message):
  with pytest.raises(findings.NotRunError, match=f'^{message}$'):
    findings.select({'t': FRAME}, name, **where)


def test_the_largest_model_and_the_last_checkpoint_of_each_run():
  assert list(findings.largest(FRAME)['x']) == [1, 2]
  assert list(findings.last(FRAME, 'pairs')['x']) == [2, 4, 8]


def test_sizes_are_ordered_by_parameters_and_not_by_name():
  assert findings.sizes(FRAME) == ['S', 'L']
  found = {size: list(rows['x']) for size, rows in findings.by_size(FRAME)}
  assert found == {'S': [4, 8], 'L': [1, 2]}
  assert list(found) == ['S', 'L']


def test_an_empty_column_is_an_error_and_a_gap_is_none():
  frame = FRAME.assign(gold=[math.nan, 1, 2, 3], none=math.nan)
  findings.need_values(frame, 'gold', 'reason')
  with pytest.raises(findings.NotRunError, match='none is empty: reason'):
    findings.need_values(frame, 'none', 'reason')


def test_runs_of_a_role_come_in_order_of_samples():
  rows = [
    {'role': role, 'samples': s, 'half': half, 'train_pm': s / 10}
    for role, half in (('linear', 'a'), ('linear', 'b'), ('inert', 'a'))
    for s in (20, 0, 10)
  ]
  tables = {'rl_curve': small.table('rl_curve', rows)}
  found = dict(
    (identity['half'], (identity, run))
    for identity, run in findings.runs_of_role(tables, 'linear')
  )
  assert set(found) == {'a', 'b'}
  identity, run = found['b']
  assert list(run['train_pm']) == [0, 1, 2]
  assert identity == {
    'run_id': 'linear-L-b-0',
    'seed': 0,
    'size': 'L',
    'n_params': 16_000,
    'half': 'b',
  }


def test_runs_of_a_seed_are_averaged_and_a_gap_is_kept():
  found = findings.per_seed(FRAME, lambda run: {'x': run['x'].sum()})
  assert found['x'].to_dict() == {0: 3.5, 1: 8}  # runs a and b: 3 and 4
  gap = FRAME.assign(x=[1.0, 2.0, math.nan, 8.0])
  found = findings.per_seed(gap, lambda run: {'x': run['x'].iloc[0]})
  assert math.isnan(found['x'][0]) and found['x'][1] == 8


def test_contrasts_and_means_of_each_size():
  rows = pd.DataFrame(
    {
      'seed': [0, 0, 1, 2, 0],
      'size': ['L', 'L', 'L', 'L', 'S'],
      'n_params': [9, 9, 9, 9, 2],
      'x': [1.0, 3.0, 4.0, 6.0, 5.0],
    }
  )
  small_one, large = findings.contrasts_by_size(rows, 'x', '<', 7.0)
  assert (small_one.name, large.name) == ('x_S', 'x_L')
  assert large.interval.mean == 4.0  # seeds 2, 4, 6: a seed counts once
  found = [large.interval.low, large.interval.high]
  assert found == pytest.approx(small.interval([2.0, 4.0, 6.0]))
  assert (large.side, large.bound) == ('<', 7.0)
  # Side numbers are means over runs.
  assert findings.means_by_size(rows, 'x') == {'x_S': 5.0, 'x_L': 3.5}
  assert findings.means(rows, 'x', 'seed') == {'x': 3.8, 'seed': 0.6}


def test_an_interval_for_a_report_is_finite_or_none():
  found = findings.contrast('x', [1.0, 2.0, 3.0], '>', 0.0).interval
  ends = findings.finite_interval(found)
  assert ends == pytest.approx(small.interval([1.0, 2.0, 3.0]))
  for values in ([1.0], [math.nan, 1.0], []):
    lone = findings.contrast('x', values, '>', 0.0).interval
    assert findings.finite_interval(lone) is None
