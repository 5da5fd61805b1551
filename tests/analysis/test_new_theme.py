"""A new theme is one file: everything else finds it by its name."""

import math

import pytest

from rlhf_jax.analysis import claims_io, figures, report, runs
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import load
from scripts import make_claims_doc, make_tables_doc
from tests.analysis import fake_theme


@pytest.fixture(scope='module')
def registry(tmp_path_factory):
  with fake_theme.on_path(tmp_path_factory.mktemp('themes')) as name:
    yield load(name)


@pytest.fixture(scope='module')
def study(registry, tmp_path_factory):
  """A study of the fake theme, collected, judged and reported."""
  workdir = tmp_path_factory.mktemp('study')
  fake_theme.write_study(workdir)
  tables = runs.collect(workdir, registry)
  runs.write_tables(tables, workdir / 'tables', registry)
  tables = runs.read_tables(workdir / 'tables', registry)
  drawn = figures.draw_all(tables, workdir / 'figures', registry=registry)
  document = judging.claims_document(tables, {'preset': 'fake'}, registry)
  claims_io.write_claims(workdir / 'report' / 'claims.json', document)
  document = claims_io.read_claims(workdir / 'report' / 'claims.json')
  page = report.write_report(workdir, document, tables, drawn, {}, registry)
  return workdir, tables, drawn, document, page.read_text()


def test_its_table_is_collected_and_comes_back_from_the_disk(study):
  workdir, tables, *_ = study
  assert list(tables) == ['weather']
  assert (workdir / 'tables' / 'weather.csv.gz').is_file()
  weather = tables['weather']
  assert list(weather['run_id'].unique()) == [f'weather-{i}' for i in range(3)]
  assert set(weather['code']) == {'007'}  # text stays text
  assert list(weather['heat'][:3]) == [11.9, 13.8, 15.7]


def test_its_claim_is_judged_beside_all_others(study, registry):
  *_, document, _ = study
  rows = {row['id']: row for row in document['claims']}
  assert list(rows) == [spec.id for spec in registry.claims]
  row = rows.pop(fake_theme.NUMBER)
  assert row['verdict'] == 'pass' and row['seeds'] == 3
  assert row['measured'] == pytest.approx({'slope': 2.0, 'days': 3})
  # Slopes 1.9, 2.0, 2.1: sd 0.1, t = 4.3027 at two degrees of freedom.
  half = 4.302653 * 0.1 / math.sqrt(3)
  assert row['ci'] == pytest.approx([2 - half, 2 + half], rel=1e-6)
  assert row['figure'] == 'figures/heat_by_day.svg'
  assert {row['verdict'] for row in rows.values()} == {'not run'}


def test_its_check_stands_beside_those_of_the_house(study):
  *_, document, _ = study
  checks = {row['name']: row for row in document['checks']}
  house = [check.__name__ for check in load().checks]
  # Of studies of real pairs and rankings, of games, of runs that count their
  # FLOPs, of other algorithms, of ensembles and of distilled models.
  elsewhere = ('over_length_rules', 'length_of_gain', 'size_or_data')
  elsewhere += ('ranking_over_likelihood', 'pretrained_heads_help')
  elsewhere += ('algorithms_at_equal_kl', 'blind_spots', 'policies_by_start')
  elsewhere += ('real_algorithms_at_equal_kl', 'real_distilled')
  elsewhere += ('real_epochs', 'real_tax')
  for name in elsewhere:
    house.remove(name)
  assert list(checks) == [*house, 'thermometer']
  assert checks['thermometer']['measured']['heat'] == pytest.approx(16.3)
  assert checks['length']['verdict'] == 'not run'


def test_its_figure_is_drawn_and_no_other_is(study):
  workdir, _, drawn, *_ = study
  path = workdir / 'figures' / 'heat_by_day.svg'
  assert {name: p for name, p in drawn.items() if p} == {'heat_by_day': path}
  assert path.is_file()


def test_the_report_shows_claim_figure_table_and_check(study):
  page = study[-1]
  assert 'id="claim-901"' in page and 'Days grow warmer' in page
  assert page.count('href="#figure-heat_by_day"') == 1  # of the claim
  assert 'id="figure-heat_by_day"' in page
  assert '<h3>Heat of every day</h3>' in page
  assert page.count('<tr class="beside">') == 9
  assert '<th title="in degrees">heat</th>' in page
  assert '<h3>thermometer <span' in page


def test_the_pages_of_claims_and_tables_would_list_it(registry):
  claims = make_claims_doc.generate(registry)
  assert claims.startswith(f'# Claims\n\n{len(registry.claims)} claims: ')
  assert '## 901. Days grow warmer' in claims
  assert '`fake_weather.warming` (simulated), reads `weather`' in claims
  tables = make_tables_doc.generate(registry)
  assert '## `weather.csv.gz`\n\nA row: a day. Theme `fake_weather`.' in tables
  assert '| `heat` | in degrees |' in tables
  assert '| `weather` | `fake_weather` | a station that measures |' in tables


def test_the_house_does_not_know_it(study, tmp_path):
  workdir, tables, *_ = study
  assert fake_theme.NUMBER not in [spec.id for spec in load().claims]
  assert runs.collect(workdir) == {}
  with pytest.raises(FileNotFoundError, match='holds none of lm.csv'):
    runs.read_tables(workdir / 'tables')
  assert set(figures.draw_all(tables, tmp_path).values()) == {None}


def test_a_file_of_more_claims_than_the_house_knows_can_be_read(study):
  """Its rows say all that is shown, so it merges and prints."""
  workdir, *_ = study
  file = workdir / 'report' / 'claims.json'
  merged = claims_io.merge([file, file])
  assert merged['claims'][-1]['id'] == fake_theme.NUMBER
  assert '| 901 | Days grow warmer |' in claims_io.to_markdown_table(merged)
