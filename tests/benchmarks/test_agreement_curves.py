"""RLOO, GRPO and DPO beside TRL's: the file, its table, its rules.

What TRL itself gives is asked in test_agreement_trl.py, where it is installed.
"""

import ast
import csv
import pathlib

import numpy as np
import pytest

from benchmarks.agreement import curve_settings as told
from benchmarks.agreement import curves, follow, parity
from benchmarks.agreement import settings as sizes
from benchmarks.peers import environments
from scripts import curve_tables
from scripts import make_performance_doc as doc

DRIVERS = [
  environments.ROOT / 'benchmarks' / 'peers' / name
  for name in ('trl_losses.py', 'torch_models.py')
]
FULL = told.PRESETS['full']


def committed():
  return curve_tables.newest_rows(doc.RESULTS)


def kinds_of(rows):
  return dict.fromkeys((row['algorithm'], row['what']) for row in rows)


def test_the_driver_of_the_peer_names_every_setting():
  names = set()
  for path in DRIVERS:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    names |= {x.arg for x in ast.walk(tree) if isinstance(x, ast.keyword)}
  for what, _, _, theirs in told.NAMES:
    assert theirs in names, what


def test_every_setting_of_a_comparison_stands_in_the_table():
  rows = {ours for _, _, ours, _ in told.NAMES}
  assert set(FULL._fields) - rows == {'prompts'}
  for _, ways, ours, _ in told.NAMES:
    assert set(ways) <= set(told.WAYS)
    assert all(told.value_of(FULL, way, ours) for way in ways)


def test_each_algorithm_has_rows_on_what_differs():
  assert {row[0].lower() for row in told.DIFFER} == {*told.WAYS, 'all'}
  assert all(all(row) and len(row) == 5 for row in told.DIFFER)


def test_the_learning_rate_falls_to_zero_after_the_last_update():
  rates = curves.rates_of(FULL)
  assert rates[0] == FULL.rate and len(rates) == FULL.updates
  np.testing.assert_allclose(np.diff(rates), -FULL.rate / FULL.updates)
  assert rates[-1] == pytest.approx(FULL.rate / FULL.updates)


def test_columns_are_widened_to_the_longest_text_and_no_further():
  settings = sizes.PRESETS['tiny']  # prompts and replies of 4
  wide = lambda **x: follow.widened(x, settings)
  ids = np.ones((8, 3), int)
  found = wide(prompt_ids=np.ones((8, 4)), completion_ids=ids, loss=1.0)
  assert found['prompt_ids'].shape == (8, 4)
  assert found['completion_ids'].shape == (8, 4) and found['loss'] == 1.0
  assert found['completion_ids'].sum() == 24
  assert wide(input_ids=ids)['input_ids'].shape == (8, 8)


def update(ours, theirs, again, weights=(1.0, 1.0, 0.001, 0.0005)):
  return curves.Sides({'a': theirs}, {'a': ours}, {'a': again}, weights)


def test_a_difference_is_over_the_largest_value_of_all_updates():
  found = [
    update([3.0, 1.0], [3.0, 1.1], [3.0, 1.0]),
    update([4.5, 0.0], [5.0, 0.0], [4.5, 0.2]),
  ]
  first, second, *weights = curves.rows_of('rloo', found)
  assert (first['update'], second['update']) == (1, 2)
  assert first['difference'] == pytest.approx(0.1 / 5)
  assert second['difference'] == pytest.approx(0.5 / 5)
  assert second['rounding'] == pytest.approx(0.2 / 5)
  assert first['theirs'] == pytest.approx(((9 + 1.21) / 2) ** 0.5)
  assert [row['what'] for row in weights] == [curves.WEIGHTS] * 2
  assert weights[0]['difference'] == 0.001
  assert weights[0]['rounding'] == 0.0005


def test_what_is_zero_on_both_sides_is_no_difference():
  [row, _] = curves.rows_of('grpo', [update(0.0, 0.0, 0.0)])
  assert row['difference'] == row['rounding'] == 0.0
  [row, _] = curves.rows_of('grpo', [update(0.5, 0.0, 0.0)])
  assert row['difference'] == 0.5


@pytest.mark.parametrize(
  ('ours', 'weights', 'said'),
  [
    (2.01, 0.001, 'DPO: a, 0.005 at 2'),
    (np.nan, 0.001, 'DPO: a, nan at 2'),
    (2.0, 0.03, 'DPO: weights, 0.03 at 2'),
  ],
)
def test_a_number_beyond_its_tolerance_is_named_with_its_update(
  ours, weights, said
):
  plain = update(1.0, 1.0, 1.0)
  found = [plain, update(ours, 2.0, 2.0, (1.0, 1.0, weights, 0.0)), plain]
  rows = curves.rows_of('DPO', found)
  with pytest.raises(parity.ParityError) as error:
    curves.require(rows)
  assert str(error.value) == f'on the same batches: {said}'
  fine = curves.rows_of('DPO', [plain, plain])
  assert curves.require(fine) is fine


def test_a_file_is_read_as_it_was_written_and_drawn(tmp_path):
  told_of = {'trl': '1.16.0', 'commit': 'abc'}
  found = [update(2.5, 2.0, 2.5), update(1.0, 1.0, 1.0)]
  rows = [row | told_of for row in curves.rows_of('dpo', found)]
  path = tmp_path / 'cpu' / curve_tables.FILE
  curves.write(path, rows)
  again = curve_tables.newest_rows(tmp_path)
  assert again == [
    {k: float(x) if k == 'update' else x for k, x in row.items()}
    for row in rows
  ]
  assert list(again[0]) == list(curves.FIELDS)
  assert curve_tables.curves_table(again).splitlines() == [
    '|  | number | largest: ours, TRL | update 2: ours, TRL | difference '
    '| rounding | at most |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    '| DPO | a | 2.5, 2 | 1, 1 | 2.5e-01 | 0.0e+00 | 1e-03 |',
    '| DPO | weights | 1, 1 | 1, 1 | 1.0e-03 | 5.0e-04 | 2e-02 |',
    '',
    'TRL 1.16.0; commit abc.',
  ]


def test_without_a_file_the_page_says_so(tmp_path):
  found = curve_tables.tables(tmp_path)
  assert found['agreement_curves'] == doc.NOTHING
  assert '| RLOO | loss |' in found['agreement_curves_differ']
  assert (
    '| updates | `updates` | `max_steps` | 20 | 20 | 20 |'
    in (found['agreement_curves_told'])
  )
  assert (
    '| updates on one batch | `passes` | `num_iterations` | 1 | 2 | - |'
    in (found['agreement_curves_told'])
  )


def test_the_committed_file_has_every_update_within_the_tolerances_of_today():
  rows = committed()
  kinds = kinds_of(rows)
  assert {way for way, _ in kinds} == set(told.WAYS)
  assert len(rows) == len(kinds) * FULL.updates
  for way in told.WAYS:
    common = {curves.WEIGHTS, curves.RATE, follow.NORM}
    assert common < {what for x, what in kinds if x == way}
  for row in rows:
    weights = row['what'] == curves.WEIGHTS
    wanted = curves.WEIGHTS_TOLERANCE if weights else curves.TOLERANCE
    assert row['at_most'] == wanted and row['difference'] <= wanted
  assert len({(row['trl'], row['commit']) for row in rows}) == 1


def test_the_page_has_the_largest_difference_of_each_number_of_the_file():
  page = doc.BASELINES.read_text()
  path = sorted(doc.RESULTS.glob(f'*/{curve_tables.FILE}'))[-1]
  with path.open(newline='') as file:
    rows = list(csv.DictReader(file))
  for way, what in kinds_of(rows):
    own = [x for x in rows if (x['algorithm'], x['what']) == (way, what)]
    worst = max(float(x['difference']) for x in own)
    [line] = [
      x
      for x in page.splitlines()
      if x.startswith(f'| {way.upper()} | {what} | ') and 'e-' in x
    ]
    assert line.split(' | ')[4] == f'{worst:.1e}', line


def test_the_policies_of_the_committed_runs_have_moved():
  """A comparison of weights that stand still would agree by itself."""
  last = {
    (row['algorithm'], row['what']): row
    for row in committed()
    if row['update'] == FULL.updates
  }
  first = {
    (row['algorithm'], row['what']): row
    for row in committed()
    if row['update'] == 1
  }
  for way in told.WAYS:
    assert last[way, curves.WEIGHTS]['theirs'] > 1.0
  assert last['rloo', 'KL of a token, k1']['theirs'] > 0.01
  assert last['dpo', 'loss']['theirs'] < 0.9 * first['dpo', 'loss']['theirs']


def test_a_peer_that_cannot_run_is_one_line_and_exit_code_2(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(curves, 'make_start', lambda *_: None)
  flags = ['--preset', 'tiny', '--workdir', str(tmp_path)]
  assert curves.main([*flags, '--python', 'no-such-python']) == 2
  error = capsys.readouterr().err
  assert error.startswith('agreement: ') and error.count('\n') == 1
  assert not pathlib.Path('no-such-python').exists()
