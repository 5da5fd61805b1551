"""Studies side by side: whose verdicts differ, and what each cell shows."""

import html
import json
import pathlib
import re
import shlex
import shutil
from urllib.parse import unquote

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
  assert all(x.startswith('data:') for x in re.findall(r'src="([^"]+)"', text))
  links = re.findall(r'href="([^"]+)"', text)
  assert all(link[0] == '#' or (tmp_path / link).is_file() for link in links)
  own = re.search(r'Agreement against score.*?</section>', text, re.S)[0]
  assert own.count('<img') == 2 and 'Not drawn' not in own
  assert text.count('Not drawn.') == len(list(MICRO.glob('figures/*.svg'))) - 1


def test_a_caption_links_the_tables_and_says_how_to_draw_it_again(
  changed, tmp_path, monkeypatch
):
  """The links lead from the page; a study without tables has none."""
  monkeypatch.chdir(tmp_path)
  study = tmp_path / 'my micro'
  shutil.copytree(MICRO, study)
  page = compare.write([study, changed], tmp_path / 'pages' / 'both')
  own = re.search(
    r'Agreement against score.*?</section>', page.read_text(), re.S
  )[0]
  (link,) = re.findall(r'href="([^"]+)" download', own)
  assert (page.parent / unquote(link)).samefile(
    study / 'tables' / 'pm_pairs.csv.gz'
  )
  commands = re.findall(r'<code>(.*?)</code>', own)
  assert [shlex.split(html.unescape(line))[3:] for line in commands] == [
    [f'--workdir={name}', '--figure=pm_calibration']
    for name in ('my micro', 'changed')
  ]
  own = ' '.join(re.sub('<img[^>]*>', '', own).split())
  first, second = own.split('<figure>')[1:]
  assert ' download>pm_pairs</a>. Drawn again by:' in first
  assert ' Data: pm_pairs. Drawn again by:' in second


def test_every_figure_of_a_study_has_tables_and_a_command(tmp_path):
  names = ('headline', 'kwise')
  studies = [compare.read(ROOT / 'results' / name) for name in names]
  found = compare.figures(studies, tmp_path)
  assert {row['name'] for row in found} == {
    name for study in studies for name in study.figures
  }
  for row in found:
    for study, shown in zip(studies, row['shown'], strict=True):
      assert (shown is None) == (row['name'] not in study.figures)
      if shown:
        assert shown['command'].endswith(f'--figure={row["name"]}')
        assert shown['tables'] and all(t['link'] for t in shown['tables'])


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
