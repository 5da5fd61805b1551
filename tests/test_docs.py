import pathlib
import re
import subprocess
import sys

import pandas as pd
import pytest

from rlhf_jax.analysis import claims_io
from rlhf_jax.analysis.claims.registry import load
from scripts import (
  make_checklist,
  make_claims_doc,
  make_ledger_doc,
  make_map_doc,
  make_tables_doc,
  paper_map,
)
from scripts.checklist_items import ITEMS, TITLES

ROOT = pathlib.Path(__file__).parents[1]


def _write_test(root, docstring):
  (root / 'tests').mkdir()
  source = f'def test_one():\n  """{docstring}"""\n'
  (root / 'tests' / 'test_a.py').write_text(source)


def test_the_checklist_is_what_the_tests_say():
  written = (ROOT / 'docs' / 'checklist.md').read_text()
  assert written == make_checklist.generate(), 'run `make checklist`'


def test_the_claims_page_is_what_the_registry_says():
  written = (ROOT / 'docs' / 'claims.md').read_text()
  assert written == make_claims_doc.generate(), 'run `make checklist`'


def test_the_claims_page_explains_the_columns_of_a_claims_table():
  written = (ROOT / 'docs' / 'claims.md').read_text()
  head = written.split('\n## ')[0]
  for column, meaning in claims_io.LEGEND.items():
    assert f'- **{column}**: {meaning}.' in head


def test_the_page_of_tables_is_what_the_registry_says():
  written = (ROOT / 'docs' / 'tables.md').read_text()
  assert written == make_tables_doc.generate(), 'run `make checklist`'


def test_the_ledger_is_what_its_json_and_the_results_say():
  written = (ROOT / 'docs' / 'ledger.md').read_text()
  assert written == make_ledger_doc.generate(), 'run `make checklist`'


def test_the_map_has_every_claim_that_a_committed_study_ran():
  """But those of the null study; where several ran it, headline's."""
  files = (ROOT / 'results').glob('*/claims.json')
  ran = {
    row['id']
    for file in files
    if file.parent.name != 'null'
    for row in claims_io.read_claims(file)['claims']
    if row['verdict'] != 'not run'
  }
  found = make_map_doc.found_claims()
  assert set(found) == ran and {3, 53, 61} <= ran
  assert make_map_doc.studies()[0] == 'headline'
  assert 'null' not in make_map_doc.studies()


def test_the_map_is_what_the_themes_and_the_results_say():
  written = (ROOT / 'docs' / 'reproduction.md').read_text()
  assert written == make_map_doc.generate(), 'run `make checklist`'


def test_the_map_names_files_and_claims_that_there_are():
  """And has every claim of the two papers once."""
  sections = [*paper_map.BAI, *paper_map.ASKELL]
  for section in sections:
    for name in section.code:
      assert (ROOT / make_map_doc.path_of(name)).exists(), name
  claims = sorted(number for x in sections for number in x.claims)
  wanted = [
    spec.id
    for spec in load().claims
    if not spec.source.startswith(('Ouyang', 'Wang'))
  ]
  assert claims == wanted


def test_the_ledger_keeps_every_verdict_of_before():
  """And says of each claim that was ever judged why it is judged otherwise."""
  ledger = make_ledger_doc.read()
  seen = set().union(*(run['verdicts'] for run in ledger['runs']))
  judged = {str(spec.id) for spec in load().claims if spec.evaluator}
  assert seen <= set(ledger['reasons']) == judged
  micro = next(r for r in ledger['runs'] if r['name'] == 'micro 120-124')
  failed = {n for n, verdict in micro['verdicts'].items() if verdict == 'fail'}
  passed = {n for n, verdict in micro['verdicts'].items() if verdict == 'pass'}
  assert failed == {'13', '15'} and passed >= {'1', '4', '6', '11', '17', '20'}
  words = {v for run in ledger['runs'] for v in run['verdicts'].values()}
  assert words == {'pass', 'fail', 'inconclusive'}


def test_the_page_of_results_says_how_many_freezes_there_have_been():
  number = 'no one two three four five six seven eight nine ten eleven'
  number = f'{number} twelve thirteen fourteen'.split()
  freezes = len(make_ledger_doc.read()['freezes'])
  text = ' '.join((ROOT / 'docs' / 'results.md').read_text().split())
  assert f'There have been {number[freezes]} freezes so far' in text
  assert (
    f'[{number[freezes]} freezes so far]' in (ROOT / 'README.md').read_text()
  )


def test_no_verdict_of_headline_is_reversed_on_other_seeds():
  """What docs/results.md says of `headline_rerun`: from its own claims.json."""
  one, other = (
    {row['id']: row for row in claims_io.read_claims(path)['claims']}
    for path in (
      ROOT / 'results' / name / 'claims.json'
      for name in ('headline', 'headline_rerun')
    )
  )
  passed = {n for n, row in one.items() if row['verdict'] == 'pass'}
  assert len(passed) == 8
  assert {other[n]['verdict'] for n in passed} == {'pass'}
  failed = {n for n, row in one.items() if row['verdict'] == 'fail'}
  assert 'pass' not in {other[n]['verdict'] for n in failed}
  changed = {n for n in one if one[n]['verdict'] != other[n]['verdict']}
  text = (ROOT / 'docs' / 'results.md').read_text()
  part = text.partition('## The same on other seeds')[2].partition('\n## ')[0]
  rows = re.findall(r'^\| (\d+) \|(.*)$', part, re.M)
  assert {int(n) for n, _ in rows} == changed
  for n, words in rows:
    *_, first, second, _ = words.split('|')
    for cell, study in ((first, one), (second, other)):
      verdict = study[int(n)]['verdict'].replace('inconclusive', 'open')
      assert verdict in cell
      for number in study[int(n)]['ci'] or ():
        assert _is_said(number, cell), (number, cell)


def _is_said(number, cell):
  """Whether a cell has the number, rounded to three digits."""
  said = [float(x) for x in re.findall(r'-?\d*\.?\d+', cell)]
  return any(number == pytest.approx(x, rel=0.005) for x in said)


def test_every_item_and_every_claim_has_its_number():
  assert list(ITEMS) == list(range(1, 91))
  assert set(TITLES) <= set(ITEMS)
  assert [spec.id for spec in load().claims] == list(range(1, 69))


def test_an_item_lists_its_tests_and_one_without_is_open(tmp_path):
  _write_test(tmp_path, 'A sentence (checklist 44, 46).')
  lines = make_checklist.generate(tmp_path).splitlines()
  for number, expected in (
    (44, '   - `tests/test_a.py::test_one`'),
    (45, '   - open'),
    (46, '   - `tests/test_a.py::test_one`'),
  ):
    assert lines[lines.index(f'{number}. {ITEMS[number]}') + 1] == expected
  assert '2 of 90 items are covered.' in ' '.join(lines)


@pytest.mark.parametrize('mention', ['44-46', '91', 'item 4', ''])
def test_a_mention_that_names_no_item_is_an_error(tmp_path, mention):
  _write_test(tmp_path, f'A sentence (checklist {mention}).')
  with pytest.raises(ValueError, match='checklist|names item'):
    make_checklist.generate(tmp_path)


def test_reading_the_registry_needs_no_jax():
  code = 'import sys, scripts.make_claims_doc; print("jax" in sys.modules)'
  out = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True
  )
  assert out.stdout == 'False\n', out.stderr


def test_the_page_of_real_pairs_shows_the_table_of_its_study():
  """Each accuracy with its interval; a row a head and kind of pairs."""
  page = (ROOT / 'docs' / 'real-pairs.md').read_text()
  table = pd.read_csv(ROOT / 'results/smollm2/tables/cross_floors.csv')
  most = table.groupby('model')['pairs'].transform('max')
  names = {'mix': 'both kinds'}
  short = lambda x: f'{x:.3f}'.replace('0.', '.')
  wanted = [
    f'| {row.model} | {names.get(row.subset, row.subset)} '
    f'| {short(row.accuracy)} [{short(row.accuracy_low)}, '
    f'{short(row.accuracy_high)}] |'
    for row in table[table['pairs'] == most].itertuples()
    if row.model == 'conditional' or 'mix' not in (row.model, row.subset)
  ]
  assert len(wanted) == 7
  assert [line for line in wanted if line not in page] == []
