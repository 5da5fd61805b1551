import json

import pandas as pd
import pytest

from rlhf_jax.analysis import runs
from rlhf_jax.analysis.claims.registry import load
from tests.analysis import tables_fixture


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('study')
  tables_fixture.write_study(workdir)
  return workdir


def test_an_unfinished_run_is_not_found(tmp_path):
  row = tables_fixture.programs().iloc[0][list(runs.RUN_COLUMNS)].to_dict()
  row['seed'], row['n_params'] = 0, 1
  tables_fixture.write_run(tmp_path / 'b' / 'x', row, {})
  tables_fixture.write_run(tmp_path / 'a', row, {})
  tables_fixture.write_run(tmp_path / 'c', row, {}, done=False)
  assert runs.find_runs(tmp_path) == [tmp_path / 'a', tmp_path / 'b' / 'x']
  with pytest.raises(FileNotFoundError, match='not a finished run'):
    runs.read_run(tmp_path / 'c')


def test_collect_gives_back_every_row_with_its_run_columns(study):
  collected = runs.collect(study)
  wanted = tables_fixture.tables()
  assert set(collected) == set(wanted)
  for name, frame in wanted.items():
    key = [
      'run_id',
      *[c for c in load().tables[name].columns if c in frame][:4],
    ]
    sort = lambda f, k=key: f.sort_values(k, kind='stable', ignore_index=True)
    pd.testing.assert_frame_equal(
      sort(collected[name])[list(frame)], sort(frame), check_dtype=False
    )


def test_the_run_id_is_the_relative_path_and_the_commit_is_from_env(tmp_path):
  row = {
    'seed': 7,
    'role': 'lm',
    'size': '3K',
    'n_params': 3456,
    'half': 'all',
    'config_hash': 'abc',
    'commit': '12e4567',
  }
  frame = tables_fixture.lm().head(1)
  deep = tmp_path / 'lm' / '3K'
  tables_fixture.write_run(deep, {'run_id': 'unused', **row}, {'lm': frame})
  collected = runs.collect(tmp_path)['lm'].iloc[0]
  assert collected['run_id'] == 'lm/3K'
  for name, value in row.items():
    assert collected[name] == value


def test_tables_survive_writing_and_reading(tmp_path):
  tables = tables_fixture.tables()
  files = runs.write_tables(tables, tmp_path / 'tables')
  assert tmp_path / 'tables' / 'pm_pairs.csv.gz' in files
  back = runs.read_tables(tmp_path / 'tables')
  assert set(back) == set(tables)
  for name, frame in tables.items():
    pd.testing.assert_frame_equal(back[name], frame, check_dtype=False)


def test_a_commit_that_looks_like_a_number_stays_text(tmp_path):
  runs.write_tables({'lm': tables_fixture.lm()}, tmp_path)
  assert set(runs.read_tables(tmp_path)['lm']['commit']) == {'12e4567'}


def test_equal_tables_give_equal_bytes(tmp_path):
  for folder in ('one', 'two'):
    runs.write_tables(
      {'pm_pairs': tables_fixture.pm_pairs()}, tmp_path / folder
    )
  one, two = (tmp_path / f / 'pm_pairs.csv.gz' for f in ('one', 'two'))
  assert one.read_bytes() == two.read_bytes()
  assert one.read_bytes()[4:8] == bytes(4)  # the gzip time stamp


def test_a_missing_directory_says_so_in_one_line(tmp_path):
  for function in (runs.find_runs, runs.collect, runs.read_tables):
    with pytest.raises(FileNotFoundError, match='no directory') as caught:
      function(tmp_path / 'nowhere')
    assert '\n' not in str(caught.value)


def test_a_directory_without_finished_runs_says_so_in_one_line(tmp_path):
  with pytest.raises(ValueError, match='no finished run') as caught:
    runs.collect(tmp_path)
  assert '\n' not in str(caught.value)
  with pytest.raises(FileNotFoundError, match='holds none of'):
    runs.read_tables(tmp_path)


@pytest.mark.parametrize('cut', [0, 9, -4])
@pytest.mark.parametrize('name', ['rl_curve', 'pm_pairs'])
def test_a_half_written_table_names_its_file(tmp_path, name, cut):
  (file,) = runs.write_tables({name: tables_fixture.tables()[name]}, tmp_path)
  file.write_bytes(file.read_bytes()[:cut])
  with pytest.raises(ValueError, match='half-written') as caught:
    runs.read_tables(tmp_path)
  assert str(file) in str(caught.value)
  assert '\n' not in str(caught.value)


def test_a_table_that_lacks_a_column_names_it(tmp_path):
  row = tables_fixture.lm().iloc[0][list(runs.RUN_COLUMNS)].to_dict()
  row['seed'], row['n_params'] = 0, 1
  frame = tables_fixture.lm().drop(columns='nats_per_token')
  tables_fixture.write_run(tmp_path / 'lm', row, {'lm': frame})
  with pytest.raises(ValueError, match='lacks the columns nats_per_token'):
    runs.collect(tmp_path)


def test_a_table_may_lack_a_column_that_studies_of_before_lack(tmp_path):
  """The loss on training text stands beside the held-out one, or nowhere."""
  row = tables_fixture.lm().iloc[0][list(runs.RUN_COLUMNS)].to_dict()
  row['seed'], row['n_params'] = 0, 1
  old = tables_fixture.lm().head(1)
  new = old.assign(train_nats_per_token=1.25)
  for name, frame in (('old', old), ('new', new)):
    tables_fixture.write_run(tmp_path / name, row, {'lm': frame})
  assert 'train_nats_per_token' not in runs.run_tables(tmp_path / 'old')['lm']
  runs.write_tables(runs.collect(tmp_path), tmp_path / 'tables')
  both = runs.read_tables(tmp_path / 'tables')['lm'].set_index('run_id')
  assert both.loc['new', 'train_nats_per_token'] == 1.25
  assert both['train_nats_per_token'].isna()['old']


def test_a_run_without_a_row_says_what_was_wanted(tmp_path):
  row = tables_fixture.lm().iloc[0][list(runs.RUN_COLUMNS)].to_dict()
  row['seed'], row['n_params'] = 0, 1
  tables_fixture.write_run(tmp_path / 'lm', row, {'lm': tables_fixture.lm()})
  (tmp_path / 'lm' / 'config.json').write_text('{}')
  with pytest.raises(ValueError, match="no dict 'row'"):
    runs.collect(tmp_path)
  (tmp_path / 'lm' / 'config.json').write_text('{"row"')
  with pytest.raises(ValueError, match='config.json:1: not JSON'):
    runs.collect(tmp_path)


def test_metrics_are_read_and_an_unfinished_last_line_is_left_out(tmp_path):
  lines = [json.dumps({'step': i, 'loss': 2.0 - i}) for i in range(3)]
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines) + '\n{"step": 3,')
  metrics = runs.read_metrics(tmp_path)
  assert list(metrics['loss']) == [2.0, 1.0, 0.0]
  (tmp_path / 'metrics.jsonl').write_text(lines[0] + '\n{"step": \n')
  with pytest.raises(ValueError, match='metrics.jsonl:2: not JSON'):
    runs.read_metrics(tmp_path)
  (tmp_path / 'metrics.jsonl').unlink()
  with pytest.raises(FileNotFoundError, match='logged nothing'):
    runs.read_metrics(tmp_path)


def test_what_a_run_says_of_its_compute_is_a_row_with_its_run_columns(tmp_path):
  """Stage, FLOPs and seconds of done.json; a run that says none has none."""
  row = {'seed': 7, 'role': 'lm', 'size': '3K', 'n_params': 3456}
  row |= {'half': 'all', 'config_hash': 'abc', 'commit': 'c'}
  for name in ('a', 'b'):
    tables_fixture.write_run(tmp_path / name, row, {})
  done = {'seconds': 12.5, 'flops': 3e9}
  (tmp_path / 'a' / 'done.json').write_text(json.dumps(done))
  config = json.loads((tmp_path / 'a' / 'config.json').read_text())
  config['stage'] = 'train_lm'
  (tmp_path / 'a' / 'config.json').write_text(json.dumps(config))
  (found,) = runs.collect(tmp_path)['compute'].to_dict('records')
  assert (found['run_id'], found['size'], found['stage']) == (
    *('a', '3K'),
    'train_lm',
  )
  assert (found['flops'], found['seconds']) == (3e9, 12.5)
