"""What a report and a merged file make of claims, figures and tables."""

import base64
import math
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import pytest

from rlhf_jax.analysis import bars, cells, chapters, claims_io, page, report
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import Registry
from rlhf_jax.analysis.claims.spec import ClaimSpec, Table, Theme
from tests.analysis import small


def red_line(canvas, tables):
  """Red against blue.

  Two lines of
  text.
  """


def plain_line(canvas, tables):
  """Nothing."""


def registry():
  """Two themes; the second shows its table, the first has two claims."""
  first, second = (
    ClaimSpec(n, f'T{n}', 'So.', 'Fig.', '> 0', None, ('lm',), 'red_line')
    for n in (1, 2)
  )
  shown = Table('shown', 'a row', {'x': 'a number'}, heading='Shown')
  hidden = Table('hidden', 'a row', {'x': 'a number'}, compressed=True)
  themes = {
    'one': Theme('One', (first, second), (hidden,), (red_line,)),
    'two': Theme('Two', (), (shown,), (plain_line,), opening='First this.'),
  }
  tables = {table.name: table for table in (shown, hidden)}
  theme_of = {1: 'one', 2: 'one'}
  draws = red_line, plain_line
  return Registry(themes, (first, second), theme_of, tables, draws, ())


def row(number, verdict='pass', **more):
  contrast = {'name': 'a_minus_b', 'mean': 2.0, 'ci': [1.0, 3.0]}
  contrast |= {'side': '>', 'bound': 0.0}
  found = {'id': number, 'verdict': verdict, 'measured': {'a_minus_b': 2.0}}
  found |= {'contrasts': [contrast], 'decides': 'a_minus_b'}
  return found | {'figure': 'figures/red_line.svg'} | more


@pytest.fixture
def drawn(tmp_path):
  """Files of two known figures and of one that nobody knows."""
  head = '<svg><metadata><dc:source>lm, shown</dc:source></metadata>'
  files = {}
  for name in ('red_line', 'plain_line', 'odd_one'):
    files[name] = tmp_path / 'figures' / f'{name}.svg'
    files[name].parent.mkdir(exist_ok=True)
    files[name].write_text(head if name == 'red_line' else '<svg>')
  files['red_line'].with_suffix('.png').write_bytes(b'x')
  return files


def frames():
  lm = small.table('lm', [{'seed': s} for s in (0, 0, 4)])
  return {'lm': lm, 'shown': lm.assign(x=1), 'hidden': lm.assign(x=2)}


def test_each_theme_has_its_own_and_what_belongs_to_none_comes_last(
  drawn, tmp_path
):
  document = {'claims': [row(1), row(2, 'not run'), row(9), row(8, 'not run')]}
  found = chapters.chapters(document, drawn, frames(), registry(), tmp_path)
  assert [chapter['name'] for chapter in found] == ['one', 'two', 'more']
  one, two, more = found
  assert [claim['id'] for claim in one['claims']] == [1]
  assert [claim['id'] for claim in more['claims']] == [9]
  names = [[f['name'] for f in chapter['figures']] for chapter in found]
  assert names == [['red_line'], ['plain_line'], ['odd_one']]
  assert (one['tables'], two['tables']) == ([], ['shown'])
  (odd,) = more['figures']
  assert (odd['title'], odd['formats']) == ('Odd one.', ['odd_one.svg'])
  assert [chapter['opening'] for chapter in found] == ['', 'First this.', '']
  bare = chapters.chapters({'claims': []}, {}, {}, registry(), tmp_path)
  assert bare == []


def test_a_figure_has_caption_claims_and_the_tables_that_its_file_names(
  drawn, tmp_path
):
  (tmp_path / 'tables').mkdir()
  (tmp_path / 'tables' / 'hidden.csv.gz').write_bytes(b'')
  (tmp_path / 'lm.csv').write_text('')
  args = drawn, frames(), registry(), tmp_path
  found = chapters.figure(red_line, *args)
  assert found['title'] == 'Red against blue.'
  assert found['text'] == 'Two lines of text.'
  assert found['claims'] == [1, 2]
  assert found['formats'] == ['red_line.svg', 'red_line.png']
  assert found['tables'] == [
    {'name': 'lm', 'rows': 3, 'seeds': 2, 'link': '../lm.csv'},
    {'name': 'shown', 'rows': 3, 'seeds': 2, 'link': None},
  ]
  drawn['red_line'].write_text('<svg>')  # of before: its claims name tables
  names = [t['name'] for t in chapters.figure(red_line, *args)['tables']]
  assert names == ['lm']
  assert found['command'] == ''  # no theme of the house draws it
  link = chapters.link('hidden', registry(), tmp_path)
  assert link == '../tables/hidden.csv.gz'
  assert chapters.sources(tmp_path / 'x.png') == []


def test_the_first_screen_takes_what_shows_a_claim_before_what_shows_none():
  figure = lambda name, *claims: {'name': name, 'claims': list(claims)}
  chapter = lambda name, *figures, claims=(): {
    **{'name': name, 'figures': list(figures)},
    **{'claims': list(claims), 'tables': []},
  }
  found = [
    chapter('a', figure('x')),
    chapter('b', figure('y', 3), claims=['c']),
    chapter('c', figure('z', 4)),
  ]
  first, rest = chapters.headline(found)
  assert first['name'] == 'y'
  assert [c['name'] for c in rest] == ['a', 'b', 'c']
  assert rest[1]['figures'] == [] and found[1]['figures'] != []
  listed = chapter('d', figure('pm_accuracy_vs_pairs'))
  first, rest = chapters.headline([*found, listed])
  assert first['name'] == 'pm_accuracy_vs_pairs'
  assert [c['name'] for c in rest] == ['a', 'b', 'c']  # d held nothing else
  first, rest = chapters.headline(found[:1])
  assert (first['name'], rest) == ('x', [])
  assert chapters.headline([]) == (None, [])


def test_a_claim_of_the_first_edition_is_shown_by_its_first_number():
  old = row(1, ci=[1.0, 3.0])
  del old['contrasts'], old['decides']
  found = chapters.claim(old, {'red_line': 'file'})
  assert found['figure'] == 'red_line'
  assert found['deciding']['words'] == 'a less b'
  assert found['deciding']['bar'] == ''  # no bound is known
  (number,) = found['numbers']
  assert (number['value'], number['ci'], number['bound']) == (2, [1, 3], '')
  new = chapters.claim(row(1, figure=None), {'red_line': 'file'})
  assert new['figure'] is None and '<svg' in new['deciding']['bar']
  assert new['numbers'][0]['bound'] == '> 0'
  beside = row(1, measured={'side_number': 5.0})
  names = [n['name'] for n in chapters.claim(beside, {})['numbers']]
  assert names == ['a_minus_b', 'side_number']
  values = [n['value'] for n in chapters.claim(beside, {})['numbers']]
  assert values == [2.0, 5.0]  # a contrast has its mean where it is not named


def whole(**more):
  """A document of every claim of the papers, none of them run."""
  return judging.claims_document({}, {'preset': 'p', 'seconds': None} | more)


def merged(tmp_path, *documents):
  files = []
  for i, document in enumerate(documents):
    files.append(tmp_path / f'{i}.json')
    claims_io.write_claims(files[-1], document)
  return claims_io.merge(files)


def test_files_of_one_commit_name_it_once_and_times_are_added(tmp_path):
  one, other = whole(commit='c', device='cpu'), whole(commit='c', device='gpu')
  other['seconds'] = 2.5
  found = merged(tmp_path, one, other, one)
  assert (found['preset'], found['commit']) == ('p', 'c')
  assert found['device'] == 'cpu+gpu' and found['seconds'] == 2.5
  assert found['config_hash'] == ''  # nobody knows it


def test_the_last_file_that_ran_a_claim_wins_and_all_others_are_named(tmp_path):
  documents = [whole(preset=name) for name in 'abcd']
  for document, verdict in zip(
    documents, ('pass', 'fail', 'inconclusive', 'not run'), strict=True
  ):
    document['claims'][0]['verdict'] = verdict
    document['claims'][0]['note'] = document['preset']
  first = merged(tmp_path, *documents)['claims'][0]
  assert first['verdict'] == 'inconclusive'
  assert first['note'] == 'c; also run by a: pass, b: fail'
  waiting = merged(tmp_path, *documents)['claims'][1]
  assert waiting['verdict'] == 'not run' and 'also' not in waiting['note']


def test_a_table_of_claims_that_all_ran_names_none_that_waits():
  document = {
    'claims': [row(1, title='A|B', threshold='> 0', seeds=3, ci=None)]
  }
  lines = claims_io.to_markdown_table(document).splitlines()
  cells_of = '| 1 | A\\|B | a_minus_b 2 | - | > 0 | > 0 | 3 | pass |'
  assert lines[-1] == cells_of
  document['claims'][0]['measured'] = {}
  document['claims'][0]['contrasts'] = []
  assert '|  - | - | - | > 0 |' in claims_io.to_markdown_table(document)


def test_bounds_that_are_not_finite_have_no_edge():
  contrast = {'mean': 1.0, 'ci': [0.0, 2.0], 'side': 'inside'}
  drawn = bars.bar(contrast | {'bound': [-1.0, math.inf]})
  assert drawn.count('class="edge"') == 1
  assert bars.bar(contrast | {'bound': [-math.inf, math.inf]}) == ''


@pytest.mark.parametrize(
  ('value', 'wanted'),
  [
    (999.4, '999'),
    (999.9, '1,000'),
    (1000.4, '1,000'),
    (-1234.5, '-1,234'),
    (1e6, '1,000,000'),
    (0.5, '0.5'),
  ],
)
def test_numbers_from_1000_on_are_written_in_full(value, wanted):
  assert cells.cell(value) == wanted


@pytest.mark.parametrize(
  ('seconds', 'wanted'),
  [
    (0, '0.0 s'),
    (59.94, '59.9 s'),
    (59.96, '1 min 0 s'),
    (60, '1 min 0 s'),
    (3599.6, '1 h 0 min'),
    (7199, '1 h 59 min'),
  ],
)
def test_a_duration_on_the_edge_of_its_unit(seconds, wanted):
  assert cells.duration(seconds) == wanted
  assert [cells.many(n, 'seed') for n in (0, 1, 2)] == [
    *('0 seeds', '1 seed', '2 seeds'),
  ]


def test_a_file_becomes_its_bytes_and_its_kind(tmp_path):
  path = tmp_path / 'a.png'
  path.write_bytes(b'\x00\xff')
  kind, _, data = page.data_uri(path).partition(',')
  assert kind == 'data:image/png;base64'
  assert base64.b64decode(data) == b'\x00\xff'


def test_an_svg_becomes_text_with_rounded_coordinates(tmp_path):
  """And nothing else of it changes: labels, colours, scales."""
  path = tmp_path / 'a.svg'
  path.write_text(
    '<svg xmlns="http://www.w3.org/2000/svg"><metadata><a/></metadata>'
    '<path d="M 1.23456 -7.5 L 100 0.005" style="fill: #1f77b4"/>'
    """<text x="3.14159" y="2" style="font: 10px 'DejaVu Sans'">"""
    '0.12345 &amp; 5 % &lt;b&gt;</text><g transform="scale(0.015625)"/></svg>'
  )
  kind, _, data = page.data_uri(path).partition(',')
  assert kind == 'data:image/svg+xml'
  assert not set(data) & set('<>&#"\'') and '%25' in data
  found = ElementTree.fromstring(unquote(data))
  line, label, glyph = found
  assert line.attrib == {
    'd': 'M 1.23 -7.5 L 100 0.01',
    'style': 'fill: #1f77b4',
  }
  assert label.text == '0.12345 & 5 % <b>'
  assert (
    label.attrib['x'] == '3.14' and "'DejaVu Sans'" in label.attrib['style']
  )
  assert glyph.attrib == {'transform': 'scale(0.015625)'}


def test_rows_of_several_runs_are_shown_once_where_so_wanted():
  table = Table('t', 'a row', {'x': 'a', 'y': 'b'}, once=True)
  frame = pd.DataFrame({'run_id': ['a', 'b', 'b'], 'x': [1, 1, 2], 'y': 3})
  found = report._rows_of({'t': frame}, table)
  assert found.to_dict('records') == [{'x': 1, 'y': 3}, {'x': 2, 'y': 3}]
  lacking = [{'run': f'r{i}', 'reason': 'why'} for i in (1, 2)]
  (line,) = report._lacking(lacking)
  assert line == '2 planned runs are lacking: r1 (why); r2 (why).'
