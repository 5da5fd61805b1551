"""Tables of a preference model, each number known beforehand."""

import math
import time

import numpy as np
import pandas as pd
import pytest
import shared_fixture as tiny

from experiments.shared import pm_tables
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.claims.spec import RUN_COLUMNS

CONFIG = {'train_subset': 'mix', 'schedule': 'decay', 'seed': 7}
# Six pairs: right, tie, wrong; right, right, wrong.
KIND = (0, 0, 0, 1, 1, 1)
CHOSEN = np.array([2.0, 1.0, 0.0, 1.0, 5.0, -1.0], np.float32)
REJECTED = np.array([1.0, 1.0, 1.0, 0.0, 2.0, 1.0], np.float32)
P_LABEL = (0.9, 0.8, 0.7, 0.6, 0.6, 0.25)


def rows(p_label=P_LABEL, kind=KIND, sides=(CHOSEN, REJECTED)):
  pairs = tiny.pairs(p_label, kind=kind)
  found = pm_tables.accuracy_rows(CONFIG, pairs, sides, seen=640)
  return {row['eval_subset']: row for row in found}


def test_accuracy_is_counted_by_kind_and_a_tie_is_half_right():
  found = rows()
  assert list(found) == ['mix', 'helpful', 'harmless']
  accuracy = {name: row['accuracy'] for name, row in found.items()}
  assert accuracy == pytest.approx(
    {'mix': 3.5 / 6, 'helpful': 1.5 / 3, 'harmless': 2 / 3}
  )
  assert [row['n_eval'] for row in found.values()] == [6, 3, 3]
  for row in found.values():
    assert row['train_subset'] == 'mix' and row['schedule'] == 'decay'
    assert row['pairs'] == 640


def test_expected_accuracy_weighs_each_label_by_its_probability():
  """.9 where right, 1 - .7 where wrong, .5 of a tie whatever the label."""
  agree = np.array([0.9, 0.5, 1 - 0.7, 0.6, 0.6, 1 - 0.25])
  found = rows()
  expected = {name: row['expected_accuracy'] for name, row in found.items()}
  wanted = {'mix': agree.mean(), 'helpful': agree[:3].mean()}
  wanted['harmless'] = agree[3:].mean()
  assert expected == pytest.approx(wanted, rel=1e-6)  # labels are float32


def test_a_label_that_nobody_knows_leaves_its_kind_without_an_expectation():
  found = rows(p_label=(*P_LABEL[:5], math.nan))
  assert math.isnan(found['harmless']['expected_accuracy'])
  assert math.isnan(found['mix']['expected_accuracy'])
  assert found['helpful']['expected_accuracy'] == pytest.approx(1.7 / 3)
  assert found['harmless']['accuracy'] == pytest.approx(2 / 3)


def test_a_kind_without_pairs_has_no_row():
  assert list(rows(kind=(0,) * 6)) == ['mix', 'helpful']
  assert list(rows(kind=(1,) * 6)) == ['mix', 'harmless']


def table(p_label=P_LABEL, **columns):
  pairs = tiny.pairs(p_label, kind=KIND, prompt_index=(0, 0, 1, 2, 2, 2))
  sides = CHOSEN + np.float32(1e-7), REJECTED
  found = pm_tables.pair_table(CONFIG, pairs, sides, seen=640)
  return found.assign(**columns)


def test_every_pair_is_a_row_with_its_scores_and_its_words():
  found = table()
  assert found['pair_id'].tolist() == [0, 1, 2, 3, 4, 5]
  assert found['prompt_id'].tolist() == [0, 0, 1, 2, 2, 2]
  assert found['subset'].tolist() == ['helpful'] * 3 + ['harmless'] * 3
  assert found['turn'].tolist() == list(range(600, 606))
  assert found['score_chosen'].tolist() == CHOSEN.tolist()  # to five digits
  assert found['score_rejected'].tolist() == REJECTED.tolist()
  assert found['words_chosen'].tolist() == list(range(700, 706))
  assert found['words_rejected'].tolist() == list(range(800, 806))
  np.testing.assert_allclose(found['p_label'], P_LABEL, rtol=1e-6)
  assert (found['pairs'] == 640).all() and (found['schedule'] == 'decay').all()


@pytest.mark.parametrize(
  ('name', 'columns'),
  [
    ('pm_curve', lambda: rows()['mix']),
    ('pm_pairs', table),
    ('floors', lambda: pm_tables.floor_rows(table(), draws=9)[0]),
  ],
)
def test_the_columns_are_those_that_the_claims_read(name, columns):
  wanted = set(load().tables[name].columns)
  assert set(columns()) == wanted and not wanted & set(RUN_COLUMNS)


def floors(**options):
  words = {'words_chosen': (5, 3, 4, 2, 9, 1)}
  words['words_rejected'] = (6, 3, 1, 1, 2, 1)
  found = pm_tables.floor_rows(table(**words, **options))
  return {row['subset']: row for row in found}


def test_the_longer_reply_wins_as_often_as_it_is_the_better_one():
  """Shorter, equal, longer; longer, longer, equal: 1.5 of 3 and 2.5 of 3."""
  found = floors(p_label=(math.nan,) * 6)
  longer = {name: row['longer_wins'] for name, row in found.items()}
  assert longer == pytest.approx(
    {'mix': 4 / 6, 'helpful': 0.5, 'harmless': 2.5 / 3}
  )
  right = {name: row['accuracy'] for name, row in found.items()}
  assert right == pytest.approx(
    {'mix': 3.5 / 6, 'helpful': 0.5, 'harmless': 2 / 3}
  )
  over = {name: row['over_longer'] for name, row in found.items()}
  assert over == pytest.approx(
    {'mix': -0.5 / 6, 'helpful': 0.0, 'harmless': -0.5 / 3}
  )
  assert [found[name]['pairs'] for name in found] == [6, 3, 3]


def test_pairs_of_one_kind_have_no_row_of_a_mixture():
  found = table(p_label=(math.nan,) * 6, subset='helpful')
  [row] = pm_tables.floor_rows(found, draws=9)
  assert (row['subset'], row['pairs']) == ('helpful', 6)


def test_an_interval_is_over_conversations_and_not_over_pairs():
  """All harmless pairs are of one conversation: nothing varies."""
  found = floors(p_label=(math.nan,) * 6)
  harmless, helpful = found['harmless'], found['helpful']
  for name in ('accuracy', 'longer_wins', 'over_longer'):
    low, high = (harmless[f'{name}_{side}'] for side in ('low', 'high'))
    assert low == pytest.approx(harmless[name]) == pytest.approx(high)
    assert helpful[f'{name}_low'] <= helpful[name] <= helpful[f'{name}_high']
  # Helpful: one conversation is right in 1.5 of 2, the other in 0 of 1.
  assert helpful['accuracy_low'] == 0 and helpful['accuracy_high'] == 0.75


def test_what_is_over_the_longer_reply_is_of_the_same_pairs():
  """Where the model is right just where the longer wins, nothing is left."""
  words = {'words_chosen': (2, 1, 0, 1, 5, 0), 'words_rejected': (1,) * 6}
  words['words_rejected'] = (1, 1, 1, 0, 2, 1)
  same = pm_tables.floor_rows(table((math.nan,) * 6, **words))[0]
  assert same['accuracy_low'] < same['accuracy_high']
  assert same['over_longer_low'] == same['over_longer_high'] == 0


def test_equal_pairs_give_equal_bytes_whenever_they_are_written(
  tmp_path, monkeypatch
):
  written = []
  for name, clock in (('now', 1e9), ('later', 2e9)):
    (tmp_path / name).mkdir()
    monkeypatch.setattr(time, 'time', lambda clock=clock: clock)
    pm_tables.write_pairs(tmp_path / name, table())
    written.append((tmp_path / name / 'pm_pairs.csv.gz').read_bytes())
  assert written[0] == written[1]
  read = pd.read_csv(tmp_path / 'now' / 'pm_pairs.csv.gz')
  assert read['score_chosen'].tolist() == CHOSEN.tolist()
  assert list(read) == list(table())


def test_floors_are_written_from_the_pairs_of_a_run_and_printed(
  tmp_path, capsys
):
  pm_tables.write_pairs(tmp_path, table((math.nan,) * 6))
  pm_tables.write_floors(tmp_path, seed=7)
  found = pd.read_csv(tmp_path / 'floors.csv')
  assert found['subset'].tolist() == ['mix', 'harmless', 'helpful']
  wanted = pd.DataFrame(pm_tables.floor_rows(table((math.nan,) * 6)))
  pd.testing.assert_frame_equal(found, wanted, rtol=1e-12)
  first, *lines = capsys.readouterr().out.splitlines()
  assert 'one seed (7)' in first and len(lines) == 3
  assert lines[0].split()[:5] == ['mix', '6', 'pairs', 'accuracy', '0.583']
