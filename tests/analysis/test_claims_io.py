import json
import math
import pathlib
import re

import numpy as np
import pytest

from experiments import claims as script
from rlhf_jax.analysis import claims_io, runs
from rlhf_jax.analysis.claims import judging
from tests.analysis import small


def document(preset='a', **rows):
  """All claims not run, but those given as c13='pass'."""
  doc = judging.claims_document({}, {'preset': preset, 'seconds': 2.0})
  for name, verdict in rows.items():
    row = doc['claims'][int(name[1:]) - 1]
    row.update(
      verdict=verdict, measured={'r2': 0.98765}, ci=[0.97, 0.99], seeds=3
    )
    first = {'name': 'slope', 'side': 'inside', 'bound': [-1.0, 1.0]}
    second = {'name': 'r2', 'side': '>', 'bound': 0.95}
    row.update(contrasts=[first, second], decides='r2')
  return doc


@pytest.fixture
def files(tmp_path):
  docs = {
    'one': document('one', c13='pass', c14='fail'),
    'two': document('two', c13='inconclusive', c1='pass'),
  }
  for name, doc in docs.items():
    claims_io.write_claims(tmp_path / f'{name}.json', doc)
  return [str(tmp_path / f'{name}.json') for name in docs]


def test_a_file_comes_back_as_it_was(tmp_path):
  path = tmp_path / 'deep' / 'claims.json'
  doc = document(c13='pass')
  claims_io.write_claims(path, doc)
  assert claims_io.read_claims(path) == doc


def test_numbers_that_json_does_not_know_become_null(tmp_path):
  path = tmp_path / 'claims.json'
  doc = document(c13='pass')
  doc['claims'][12]['measured'] = {
    'a': math.nan,
    'b': np.float64(math.inf),
    'c': np.int64(3),
    'd': np.float32(0.5),
  }
  claims_io.write_claims(path, doc)
  text = path.read_text()
  assert 'NaN' not in text
  assert 'Infinity' not in text
  found = json.loads(text)['claims'][12]['measured']
  assert found == {'a': None, 'b': None, 'c': 3, 'd': 0.5}


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('{"claims":\n nonsense}', ':2: not JSON'),
    ('[]', "a list 'claims'"),
    ('{"claims": [{"id": 1}]}', 'claims 1 to 65 once each'),
  ],
)
def test_a_bad_file_is_named(tmp_path, text, message):
  path = tmp_path / 'bad.json'
  path.write_text(text)
  with pytest.raises(ValueError, match=message) as error:
    claims_io.read_claims(path)
  assert 'bad.json' in str(error.value)


def test_the_latest_row_that_was_run_wins(files):
  merged = claims_io.merge(files)
  rows = {row['id']: row for row in merged['claims']}
  assert len(rows) == 68
  assert (rows[1]['verdict'], rows[1]['preset']) == ('pass', 'two')
  assert (rows[14]['verdict'], rows[14]['preset']) == ('fail', 'one')
  assert (rows[13]['verdict'], rows[13]['preset']) == ('inconclusive', 'two')
  assert 'also run by one: pass' in rows[13]['note']
  assert 'also run' not in rows[14]['note']
  assert rows[65]['verdict'] == 'not run'
  assert merged['preset'] == 'one+two'
  assert merged['seconds'] == 4.0
  assert {check['preset'] for check in merged['checks']} == {'one', 'two'}
  with pytest.raises(ValueError, match='nothing to merge'):
    claims_io.merge([])


def test_a_file_that_names_no_edition_was_judged_by_the_first(files):
  path = pathlib.Path(files[0])
  text = path.read_text()
  assert text.count('"edition": 2,') == 1
  assert claims_io.merge(files)['edition'] == 2
  path.write_text(text.replace('"edition": 2,', ''))
  assert claims_io.read_claims(path)['edition'] == 1
  assert claims_io.merge(files)['edition'] == '1+2'


def test_the_table_shows_what_was_run(files):
  table = claims_io.to_markdown_table(claims_io.read_claims(files[0]))
  lines = table.splitlines()
  head = lines.index('|---|---|---|---|---|---|---|---|') - 1
  columns = [cell.strip() for cell in lines[head].strip('|').split('|')]
  assert columns[:2] == ['#', 'claim']
  assert columns[2:] == list(claims_io.LEGEND)
  explained = [re.match(r'- \*\*(.+)\*\*: \w', line) for line in lines[:head]]
  assert [m[1] for m in explained if m] == columns[2:]
  assert sum(line.startswith('| 1') for line in lines) == 2
  (row,) = [line for line in lines if line.startswith('| 13 ')]
  assert 'r2 0.988' in row
  assert '0.97 to 0.99 | > 0.95 |' in row
  assert row.endswith('| 3 of 8 | pass |')
  assert lines[-1].startswith('Not run: 1, 2, 3')
  (row,) = [line for line in lines if line.startswith('| 14 ')]
  assert row.replace('\\|', '').count('|') == 9


def test_too_few_seeds_are_shown_beside_how_many_are_wanted():
  row = document(c13='pass')['claims'][12]
  assert claims_io.seeds_text(row) == '3 of 8'
  assert claims_io.seeds_text(row | {'seeds': 8}) == '8'
  del row['seeds_wanted']  # the first edition wanted no number
  assert claims_io.seeds_text(row) == '3'


def test_the_bound_is_that_of_the_contrast_that_decides():
  row = document(c13='pass')['claims'][12]
  assert claims_io.bound_text(claims_io.deciding(row)) == '> 0.95'
  del row['decides']  # the first edition did not say: it is the first one
  assert claims_io.bound_text(claims_io.deciding(row)) == 'inside -1 to 1'
  row['contrasts'] = []
  assert claims_io.bound_text(claims_io.deciding(row)) == ''


def test_only_the_block_between_the_markers_changes():
  text = f'before\n{claims_io.MARK_BEGIN}\nold\n{claims_io.MARK_END}\nafter\n'
  want = f'before\n{claims_io.MARK_BEGIN}\nnew\n{claims_io.MARK_END}\nafter\n'
  assert claims_io.replace_block(text, 'new\n') == want
  assert claims_io.replace_block(want, 'new\n') == want
  for bad in ('no markers', claims_io.MARK_END + claims_io.MARK_BEGIN):
    with pytest.raises(ValueError, match='claims:begin'):
      claims_io.replace_block(bad, 'new')


def test_the_script_judges_a_study_again_in_its_own_context(tmp_path, capsys):
  """A file of the first edition names no gate: it is closed now."""
  doc = document('one', c13='pass')
  for row in doc['claims']:
    row['evidence'] = 'real'
  for key in ('edition', 'evidence', 'rl_requires'):
    del doc[key]
  claims_io.write_claims(tmp_path / 'claims.json', doc)
  mark = f'{claims_io.MARK_BEGIN}\n{claims_io.MARK_END}\n'
  (tmp_path / 'README.md').write_text(mark)
  tables = {'pm_curve': small.table('pm_curve', [{'pairs': 9}])}
  runs.write_tables(tables, tmp_path / 'tables')
  assert script.main(['judge', str(tmp_path)]) == 0
  found = claims_io.read_claims(tmp_path / 'claims.json')
  keys = ('edition', 'evidence', 'rl_requires', 'preset', 'seconds')
  assert [found[key] for key in keys] == [2, 'real', True, 'one', 2.0]
  assert {row['verdict'] for row in found['claims']} == {'not run'}
  assert 'Not run: 1, 2, 3' in (tmp_path / 'README.md').read_text()
  assert script.main(['judge', str(tmp_path / 'nothing')]) == 1
  assert 'claims.json' in capsys.readouterr().err


def test_the_script_merges_and_rewrites_a_readme(files, tmp_path, capsys):
  out = tmp_path / 'merged.json'
  assert script.main(['merge', *files, '--out', str(out)]) == 0
  readme = tmp_path / 'README.md'
  readme.write_text(f'x\n{claims_io.MARK_BEGIN}\n{claims_io.MARK_END}\n')
  assert script.main(['table', str(out), '--readme', str(readme)]) == 0
  assert '| 13 |' in readme.read_text()
  capsys.readouterr()
  assert script.main(['merge', *files]) == 0
  assert len(json.loads(capsys.readouterr().out)['claims']) == 68
  assert script.main(['table', str(out)]) == 0
  assert '| 14 |' in capsys.readouterr().out


def test_the_script_says_what_is_wrong_and_exits_1(files, tmp_path, capsys):
  assert script.main(['merge', str(tmp_path / 'none.json')]) == 1
  assert 'none.json' in capsys.readouterr().err
  readme = tmp_path / 'README.md'
  readme.write_text('no markers')
  assert script.main(['table', files[0], '--readme', str(readme)]) == 1
  assert 'README.md: wanted' in capsys.readouterr().err
  assert readme.read_text() == 'no markers'
