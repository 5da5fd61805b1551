"""Studies side by side: whose verdicts differ, and what each cell shows."""

import json
import pathlib
import re

import pytest

from experiments import compare as script
from rlhf_jax.analysis import claims_io, compare

ROOT = pathlib.Path(__file__).parents[2]
MICRO, NULL = (ROOT / 'results' / name for name in ('micro', 'null'))


@pytest.fixture
def changed(tmp_path):
  """The committed micro study with two verdicts turned, and a figure less."""
  folder = tmp_path / 'changed'
  document = json.loads((MICRO / 'claims.json').read_text())
  rows = {row['id']: row for row in document['claims']}
  rows[1]['verdict'], rows[4]['verdict'] = 'fail', 'not run'
  rows[2]['title'] = '<script>alert(1)</script>'
  (folder / 'figures').mkdir(parents=True)
  name = 'pm_calibration.svg'
  (folder / 'figures' / name).write_bytes(
    (MICRO / 'figures' / name).read_bytes()
  )
  claims_io.write_claims(folder / 'report' / 'claims.json', document)
  return folder


def test_a_claim_differs_where_two_studies_that_ran_it_disagree(changed):
  rows = compare.ledger([compare.read(MICRO), compare.read(changed)])
  assert [row['id'] for row in rows if row['differs']] == [1]
  cells = {row['id']: row['cells'] for row in rows}
  assert [cell['verdict'] for cell in cells[1]] == ['pass', 'fail']
  assert cells[4][0]['verdict'] == 'pass' and cells[4][1] is None
  assert all(one['deciding']['words'] for one in cells[2])


def test_the_page_has_both_and_needs_no_network(changed, tmp_path, capsys):
  assert script.main([str(changed), str(MICRO), '--out', str(tmp_path)]) == 0
  path = pathlib.Path(capsys.readouterr().out.strip())
  text = path.read_text(encoding='utf-8')
  assert 'of 1 the verdicts differ' in text
  assert re.findall(r'<a href="#claim-(\d+)">', text) == ['1']
  assert '<script' not in text
  sources = re.findall(r'(?:src|href)="([^"]+)"', text)
  assert all(source.startswith(('data:', '#')) for source in sources)
  own = re.search(r'Agreement against score.*?</section>', text, re.S)[0]
  assert own.count('<img') == 2 and 'Not drawn' not in own
  assert text.count('Not drawn.') == len(list(MICRO.glob('figures/*.svg'))) - 1


@pytest.mark.parametrize(
  ('folders', 'word'),
  [
    ([MICRO], 'two or more'),
    ([MICRO, MICRO], 'different names'),
    ([MICRO, ROOT / 'docs'], 'no claims.json'),
  ],
)
def test_what_cannot_be_compared_is_one_line(folders, word, capsys):
  assert script.main([*map(str, folders)]) == 1
  error = capsys.readouterr().err
  assert error.count('\n') == 1 and word in error
