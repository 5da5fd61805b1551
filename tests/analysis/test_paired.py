"""Changes seed by seed: against a loop, and where there is nothing to say."""

import math
import pathlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments import compare as script
from rlhf_jax.analysis import paired, runs
from rlhf_jax.analysis.claims.registry import load

ROOT = pathlib.Path(__file__).parents[2]
MICRO = ROOT / 'results' / 'micro'


@pytest.fixture(scope='module')
def tables():
  return runs.read_tables(MICRO / 'tables')


def shifted(tables, amount):
  """The tables with the final gain of seed s larger by (s + 1) amount."""
  curve = tables['rl_curve'].copy()
  late = curve['samples'] > 0
  curve.loc[late, 'train_pm'] += (curve.loc[late, 'seed'] - 119) * amount
  return {**tables, 'rl_curve': curve}


def test_a_study_beside_itself_changes_nothing(tables):
  found = paired.changes(tables, tables)
  assert {c.claim for c in found} >= {1, 2, 4, 11, 14, 27}
  for change in found:
    assert change.interval.mean == change.interval.low == 0
    assert change.first == change.second


def test_a_change_is_the_t_interval_of_what_each_seed_changes_by(tables):
  other = shifted(tables, 0.1)
  spec = load().claim(11)
  found = {c.name: c for c in paired.changes_of(spec, tables, other)}
  assert (
    set(found) == {'gain_3K', 'gain_13K', 'gain_42K', 'gain_197K'} & set(found)
    and len(found) >= 3
  )
  by = 0.1 * np.array([1, 2, 3])
  wanted = stats.t.interval(0.95, 2, by.mean(), stats.sem(by))
  for change in found.values():
    np.testing.assert_allclose(change.interval.mean, by.mean(), rtol=1e-9)
    np.testing.assert_allclose(
      [change.interval.low, change.interval.high], wanted, rtol=1e-9
    )
    assert change.second > change.first


def test_only_shared_seeds_count_and_what_one_lacks_has_no_row(tables):
  curve = tables['rl_curve']
  spec = load().claim(11)
  fewer = {**tables, 'rl_curve': curve[curve['seed'] != 120]}
  assert all(c.interval.n == 2 for c in paired.changes_of(spec, tables, fewer))
  one = {**tables, 'rl_curve': curve[curve['seed'] == 120]}
  assert paired.changes_of(spec, tables, one) == []
  lacks = curve[(curve['seed'] != 120) | (curve['size'] != '13K')]
  names = {c.name for c in paired.changes_of(spec, tables, {'rl_curve': lacks})}
  assert names and 'gain_13K' not in names


def test_tables_that_all_seeds_share_stay_whole():
  tables = {
    'lm': pd.DataFrame({'seed': [0, 0], 'loss': [1.0, 2.0]}),
    'pm_curve': pd.DataFrame({'seed': [1, 2], 'accuracy': [0.5, 0.6]}),
  }
  own = paired.of_seed(tables, 2)
  assert len(own['lm']) == 2 and list(own['pm_curve']['accuracy']) == [0.6]
  assert paired.seeds_of(tables, ('lm', 'pm_curve', 'none')) == {1, 2}


def test_the_page_and_its_table_tell_the_same(tmp_path, capsys):
  null = ROOT / 'results' / 'null'
  assert script.main([str(MICRO), str(null), '--out', str(tmp_path)]) == 0
  page = pathlib.Path(capsys.readouterr().out.strip()).read_text()
  frame = pd.read_csv(tmp_path / 'changes.csv')
  assert page.count('(changed)') == int(
    ((frame['low'] > 0) | (frame['high'] < 0)).sum()
  )
  slope = frame[(frame['claim'] == 1) & (frame['name'] == 'slope')].iloc[0]
  assert slope['seeds'] == 5 and slope['high'] < 0  # labels by a coin
  assert math.isclose(
    slope['second'] - slope['first'], slope['difference'], abs_tol=1e-12
  )
