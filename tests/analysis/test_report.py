import html
import html.parser
import math
import re

import pandas as pd
import pytest

from rlhf_jax.analysis import cells, claims_io, figures, report, runs, speed
from rlhf_jax.analysis import page as page_of
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import load
from tests.analysis import tables_fixture

NASTY = '<script>alert("x")</script> & </td>'


class _Page(html.parser.HTMLParser):
  """Tags with their attributes, and the text of the page."""

  void = {'meta', 'img', 'br', 'link', 'input'}

  def __init__(self, text):
    super().__init__()
    self.tags, self.open, self.text = [], [], ''
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    if tag not in self.void:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag, f'</{tag}> closes nothing'

  def handle_data(self, data):
    self.text += data

  def of_class(self, name):
    return [a for _, a in self.tags if name in a.get('class', '').split()]


def _claims():
  verdicts = {1: 'pass', 2: 'fail', 3: 'inconclusive', 4: 'pass', 5: 'fail'}
  rows = []
  for number in range(1, 66):
    verdict = verdicts.get(number, 'not run')
    ran = verdict != 'not run'
    rows.append(
      {
        'id': number,
        'title': f'Claim number {number}',
        'statement': 'Accuracy grows.',
        'source': 'Bai et al. 2022, Fig. 7',
        'measured': {'slope': 0.01234567, 'r2': None} if ran else {},
        'ci': [0.0101, 0.0149] if ran else None,
        'contrasts': [
          {
            'name': 'slope',
            'mean': 0.01234567,
            'ci': [0.0101, 0.0149],
            'side': '>',
            'bound': 0.0,
          },
          {
            'name': 'r2',
            'mean': None,
            'ci': [0.811, 0.911],
            'side': 'inside',
            'bound': [-0.75, 0.95],
          },
        ][: 2 * ran],
        'decides': 'r2' if ran else None,
        'threshold': 'slope > 0',
        'seeds': 3 * ran,
        'verdict': verdict,
        'evidence': 'identity' if number == 4 else 'simulated',
        'figure': load().claim(number).figure,
        'note': 'no table x.csv' if not ran else '',
      }
    )
  for row, name in ((rows[0], 'kl_estimators'), (rows[1], 'never_drawn')):
    row['figure'] = f'figures/{name}.svg'
  return {
    'preset': 'micro',
    'device': 'cpu <2 cores>',
    'commit': 'abc1234',
    'seconds': 3725.0,
    'claims': rows,
    'checks': [
      {
        'name': 'reward and length',
        'measured': {'excess': 0.25},
        'ci': [0.125, 0.375],
        'threshold': 'excess > 0',
        'seeds': 3,
        'verdict': 'pass',
        'note': NASTY,
      }
    ],
  }


def _extras():
  return {
    'samples': [
      {
        'prompt': NASTY,
        'pi0_reply': 'two\nlines ' + NASTY,
        'final_reply': '{{ 7 * 7 }}\x00\u202e',
        'scores': {'train PM': 1.5, 'gold': math.nan},
      }
    ],
    'env': {'jax': '0.10.2', 'device': NASTY},
    'stages': [{'name': 'train_lm', 'seconds': 65.0}],
  }


@pytest.fixture(scope='module')
def text(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('study')
  tables = tables_fixture.tables()
  drawn = {
    'kl_estimators': figures.FIGURES['kl_estimators'](tables, workdir),
    'lm_loss': figures.FIGURES['lm_loss'](tables, workdir, 'png'),
    'gap_vs_samples': None,
  }
  path = report.write_report(workdir, _claims(), tables, drawn, _extras())
  assert path == workdir / 'report' / 'index.html'
  return path.read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def page(text):
  return _Page(text)


def test_every_tag_is_closed(text, page):
  assert text.startswith('<!DOCTYPE html>')
  assert page.open == []


def test_all_65_claims_are_listed_once(page):
  ids = [attrs['id'] for attrs in page.of_class('claim')]
  assert sorted(ids) == sorted(f'claim-{n}' for n in range(1, 66))


def test_a_chapter_begins_with_what_has_to_be_known_first(tmp_path):
  """What of Wang et al. is known; other chapters begin with their figures."""
  opening = load().themes['activations'].opening
  assert opening.startswith('Of Wang et al. 2016 (arXiv 1611.02767) only the')
  document = _claims()
  ran, [row] = document['claims'][0], [document['claims'][60]]
  row |= {k: ran[k] for k in ('measured', 'ci', 'contrasts', 'decides')}
  row['verdict'] = 'pass'
  tables = tables_fixture.tables()
  path = report.write_report(tmp_path, document, tables, {}, {})
  text = path.read_text(encoding='utf-8')
  begins = '<h2 id="chapter-activations">A generative model of activations</h2>'
  after = text.split(begins)[1].lstrip()
  assert after.startswith(f'<p>{opening}</p>')
  assert text.count('<p>Of Wang') == 1


def test_the_words_of_the_claims_are_explained_on_the_first_screen(text):
  legend = re.search(r'<ul class="small legend">(.*?)</ul>', text, re.S)
  explained = re.findall(r'<strong>(.*?)</strong>: \w', legend[1])
  assert explained == list(claims_io.LEGEND)
  assert legend.start() < text.index('<h2')


def test_the_strip_has_a_chip_for_every_judged_claim(text):
  strip = re.search(r'<ul class="strip">(.*?)</ul>', text, re.S)[1]
  assert re.findall(r'href="#claim-(\d+)"', strip) == list('12345')
  assert strip.count('<svg') == 0  # what decides has no mean: no bar of it
  assert strip.count('class="verdict inconclusive"') == 1


def test_a_claim_shows_first_what_decides_and_then_every_number(text):
  row = re.search(r'id="claim-1">(.*?)</article>', text, re.S)[1]
  first, every = row.split('Every measured number (2)')
  assert 'R²' in first and 'wanted inside -0.75 to 0.95' in first
  found = re.findall(r'<td[^>]*>(.*?)</td>', every, re.S)
  assert found[:4] == ['slope', '0.0123', '0.0101 to 0.0149', '&gt; 0']
  assert found[4].startswith('<svg') and found[5] == '<code>slope</code>'
  assert found[6:10] == ['R²', '–', '0.811 to 0.911', 'inside -0.75 to 0.95']
  assert found[10] == ''


def test_a_figure_has_its_caption_and_what_lies_behind_it(tmp_path):
  """Files that are there have a link; the caption is that of the drawing."""
  tables = tables_fixture.tables()
  runs.write_tables(tables, tmp_path / 'tables')
  names = ('kl_estimators', 'pm_calibration')
  draw = lambda name: figures.FIGURES[name](tables, tmp_path / 'figures')
  drawn = {name: draw(name) for name in names}
  path = report.write_report(tmp_path, _claims(), tables, drawn, {})
  text = path.read_text(encoding='utf-8')
  own = re.search(r'id="figure-pm_calibration">(.*?)</figure>', text, re.S)[1]
  assert 'Agreement against score difference, largest size (Fig. 9).' in own
  assert re.findall(r'href="#claim-(\d+)"', own) == ['4', '5']
  for target in re.findall(r'href="(\.\./[^"]+)"', text):
    assert (path.parent / target).exists(), target
  assert '../figures/pm_calibration.svg' in own
  assert '../tables/pm_pairs.csv.gz' in own


def test_the_first_screen_has_the_figure_to_take_away(tmp_path):
  """It stands once, before the chapters; without it, the next of the list."""
  tables = tables_fixture.tables()
  names = ('lm_loss', 'pm_accuracy_vs_pairs', 'frontier_and_policies')
  draw = lambda name: figures.FIGURES[name](tables, tmp_path / 'figures')
  drawn = {name: draw(name) for name in names}
  for first in ('frontier_and_policies', 'pm_accuracy_vs_pairs'):
    path = report.write_report(tmp_path, _claims(), tables, drawn, {})
    text = path.read_text(encoding='utf-8')
    ids = re.findall(r'id="figure-(\w+)"', text)
    assert ids[0] == first and len(ids) == len(set(ids)) == len(drawn)
    assert text.index(f'id="figure-{first}"') < text.index('<ul class="strip">')
    del drawn[first]
  assert 'id="chapter-common"' in text  # its figure is not the first
  path = report.write_report(
    tmp_path, _claims(), {}, {'lm_loss': drawn['lm_loss']}, {}
  )
  assert 'id="chapter-common"' not in path.read_text(encoding='utf-8')


def test_a_figure_that_shows_a_claim_comes_before_one_that_shows_none(tmp_path):
  tables = tables_fixture.tables()
  draw = lambda name: figures.FIGURES[name](tables, tmp_path / 'figures')
  drawn = {name: draw(name) for name in ('lm_loss', 'pm_calibration')}
  path = report.write_report(tmp_path, _claims(), tables, drawn, {})
  ids = re.findall(r'id="figure-(\w+)"', path.read_text(encoding='utf-8'))
  assert ids == ['pm_calibration', 'lm_loss']


def test_a_study_says_in_a_sentence_what_ran():
  rows = [{'seed': seed} for seed in (0, 0, 1, None)]
  (line,) = report.lead(_claims(), rows)
  assert line == (
    '4 finished runs of 2 seeds, in 1 h 2 min on cpu <2 cores>. 5 claims were '
    'judged: 2 pass, 2 fail, 1 inconclusive.'
  )
  shared = {'seed': 7, 'role': 'lm'}
  (line,) = report.lead(_claims(), [*rows, shared])
  assert line.startswith('5 finished runs of 2 seeds, in')
  assert report.seeds_of([shared]) == [7]
  (line,) = report.lead(_claims(), rows[:1])
  assert line.startswith('1 finished run of 1 seed, in')


def test_the_summary_has_five_lines_and_counts_the_verdicts(text):
  body = re.search(r'<ol class="summary small">(.*?)</ol>', text, re.S)[1]
  lines = re.findall(r'<li>(.*?)</li>', body)
  assert len(lines) == 5
  assert 'micro' in lines[0] and '1 h 2 min' in lines[0]
  assert '65 claims: 2 pass, 2 fail, 1 inconclusive, 60 not run' in lines[1]
  assert lines[2] == 'Failed: 2, 5.'
  assert lines[3] == 'Inconclusive: 3.'
  assert 'seeds 0, 1, 2' in lines[4]
  assert '4 on simulated, 1 on identity' in lines[4]


def test_model_text_is_escaped_everywhere(text, page):
  assert not [tag for tag, _ in page.tags if tag == 'script']
  assert '<script>' not in text
  assert text.count('&lt;script&gt;') == 4
  assert page.text.count(NASTY) == 4
  assert '{{ 7 * 7 }}' in page.text  # model text is never a template
  assert 'cpu &lt;2 cores&gt;' in text


def test_the_page_needs_no_network(text, page):
  for tag, attrs in page.tags:
    for name in ('src', 'href', 'data', 'poster', 'srcset', 'action'):
      if name in attrs:
        beside = ('../figures/', '../tables/') if tag == 'a' else ()
        assert attrs[name].startswith(('data:', '#', *beside)), (tag, attrs)
    assert tag not in ('link', 'iframe', 'object')
  assert not re.search(r'url\((?!%23)|@import', text)  # of a figure itself
  assert re.findall('http-equiv="([^"]+)"', text) == ['Content-Security-Policy']
  allowed = html.unescape(re.search('content="(default[^"]+)"', text)[1])
  assert allowed == page_of.POLICY and 'script' not in allowed


def test_figures_are_inline_and_missing_ones_left_out(page):
  sources = [attrs['src'] for tag, attrs in page.tags if tag == 'img']
  kinds = sorted(re.split('[;,]', source)[0] for source in sources)
  assert kinds == ['data:image/png', 'data:image/svg+xml']


def test_every_link_has_its_target_and_no_id_stands_twice(page):
  ids = [attrs['id'] for _, attrs in page.tags if 'id' in attrs]
  assert len(ids) == len(set(ids))
  links = [attrs['href'] for tag, attrs in page.tags if tag == 'a']
  assert {link[1:] for link in links if link[0] == '#'} <= set(ids)
  # Claim 1; claim 2's figure was never drawn.
  assert links.count('#figure-kl_estimators') == 1
  assert '#figure-never_drawn' not in links


def test_verdicts_are_told_by_word_and_sign(page, text):
  """Twice each, in the strip and at the claim; and once at the check."""
  shown = [attrs['class'] for attrs in page.of_class('verdict')]
  assert shown.count('verdict pass') == 2 * 2 + 1
  for verdict in ('pass', 'fail', 'inconclusive', 'not-run'):
    assert f'.verdict.{verdict}::before' in text
  assert shown.count('verdict not-run') == 60


def test_tables_list_checks_samples_programs_runs_and_stages(page):
  for name, count in {
    'check': 1,
    'sample': 1,
    'stage': 1,
    'program': 2,
    'run': len(report.run_list(tables_fixture.tables())),
  }.items():
    assert len(page.of_class(name)) == count, name
  for wanted in (
    '12e4567',
    '0e9999',
    tables_fixture.LM_SHAPES,
    '0.0123',
    '0.0101 to 0.0149',
    '0.125 to 0.375',
    '1 min 5 s',
  ):
    assert wanted in page.text


def test_the_ledger_adds_up_workers_and_puts_the_longest_first():
  shapes = tables_fixture.LM_SHAPES
  tables = tables_fixture.tables()
  assert report.compile_ledger(tables) == [
    {'program': 'pm_step', 'count': 2, 'seconds': 15.0, 'shapes': ''},
    {'program': 'lm_step', 'count': 2, 'seconds': 5.5, 'shapes': shapes},
  ]
  tables['programs'] = tables['programs'].drop(columns='shapes')
  assert [row['shapes'] for row in report.compile_ledger(tables)] == ['', '']


def test_a_run_in_several_tables_is_listed_once():
  run_ids = [row['run_id'] for row in report.run_list(tables_fixture.tables())]
  assert len(run_ids) == len(set(run_ids))
  assert run_ids == sorted(run_ids)


def test_a_program_of_no_run_is_not_a_run():
  tables = tables_fixture.tables()
  wanted = report.run_list(tables)
  none = dict.fromkeys(runs.RUN_COLUMNS, math.nan)
  extra = tables['programs'].assign(**none)
  tables['programs'] = pd.concat([tables['programs'], extra])
  assert report.run_list(tables) == wanted


def test_a_study_without_tables_figures_or_extras_still_has_a_page(tmp_path):
  claims = {**_claims(), 'seconds': None}
  claims.pop('checks')
  for row in claims['claims']:
    row['verdict'] = 'not run'
  path = report.write_report(tmp_path, claims, {}, {}, {})
  page = _Page(path.read_text(encoding='utf-8'))
  assert len(page.of_class('claim')) == 65
  assert 'No claim was run.' in page.text
  assert 'unknown time' in page.text


@pytest.mark.parametrize(
  ('value', 'wanted'),
  [
    (None, '–'),
    (math.nan, '–'),
    (0.0123456, '0.0123'),
    (-2.5, '-2.5'),
    (3, '3'),
    (12345.6, '12,346'),
    (math.inf, 'inf'),
    ('12e4567', '12e4567'),
    (True, 'True'),
  ],
)
def test_cells(value, wanted):
  assert cells.cell(value) == wanted


@pytest.mark.parametrize(
  ('seconds', 'wanted'),
  [(42, '42.0 s'), (185.2, '3 min 5 s'), (7800, '2 h 10 min')],
)
def test_durations(seconds, wanted):
  assert cells.duration(seconds) == wanted


def test_what_the_judges_write_is_what_the_page_reads(tmp_path):
  tables = tables_fixture.tables()
  context = {'preset': 'micro', 'device': 'cpu'}
  file = tmp_path / 'claims.json'
  claims_io.write_claims(file, judging.claims_document(tables, context))
  document = claims_io.read_claims(file)
  path = report.write_report(tmp_path, document, tables, {}, {})
  page = _Page(path.read_text(encoding='utf-8'))
  assert len(page.of_class('claim')) == 68
  assert len(page.of_class('check')) == len(document['checks']) > 0


def test_tables_beside_the_claims_are_shown_and_escaped(tmp_path):
  """Floors and HHH of an imported model's study."""
  run = {'run_id': 'hhh', 'role': 'hhh', 'seed': 0, 'size': NASTY}
  row = {'judge': NASTY, 'rule': 'sum', 'category': 'all', 'accuracy': 0.625}
  row |= {'low': 0.5, 'high': 0.75, 'n': 126}
  columns = dict.fromkeys(report.runs.RUN_COLUMNS) | run
  frame = report.pd.DataFrame([columns | row])
  path = report.write_report(tmp_path, _claims(), {'hhh': frame}, {}, {})
  text = path.read_text(encoding='utf-8')
  page = _Page(text)
  assert len(page.of_class('beside')) == 1 and page.open == []
  assert '0.625' in text and NASTY not in text


def test_what_several_runs_have_read_is_shown_once(tmp_path):
  """Two models of one file: its counts, and no word of intervals."""
  counts = {'read': 9, 'kept': 8, NASTY: 1}
  frame = report.pd.DataFrame(
    [
      {'run_id': run, 'role': run, 'part': 'a', 'count': name, 'rows': n}
      for run in ('pm/a', 'pm/b')
      for name, n in counts.items()
    ]
  )
  for column in report.runs.RUN_COLUMNS:
    frame[column] = frame[column] if column in frame else None
  path = report.write_report(tmp_path, _claims(), {'reading': frame}, {}, {})
  text = path.read_text(encoding='utf-8')
  page = _Page(text)
  assert len(page.of_class('beside')) == 3 and page.open == []
  assert 'what was skipped' in text and NASTY not in text
  assert 'Intervals are of one trained model' not in text


def test_a_preset_that_can_judge_nothing_says_so_first():
  lines = report.summary(_claims() | {'preset': 'smoke'}, [])
  assert len(lines) == 6
  assert 'plumbing only' in lines[0] and 'no verdict is possible' in lines[0]


def test_speed_and_signs_of_health_have_a_row_each_and_are_escaped(tmp_path):
  row = dict.fromkeys(speed.COLUMNS, 0.25) | {'stage': 'train_ppo', 'mfu': None}
  sign = {'run': 'rl/a', 'step': 12, 'name': 'length', 'message': NASTY}
  extras = {'speed': [row, row], 'signs': [sign]}
  path = report.write_report(tmp_path, _claims(), {}, {}, extras)
  page = _Page(path.read_text(encoding='utf-8'))
  assert len(page.of_class('speed')) == 2 and len(page.of_class('sign')) == 1
  assert page.open == [] and NASTY in page.text
  links = {a.get('href') for _, a in page.tags}
  assert {'#health', '#time'} <= links
  titles = {a.get('title') for _, a in page.tags}
  assert set(speed.COLUMNS.values()) <= titles
