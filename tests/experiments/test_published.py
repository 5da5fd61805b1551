"""What is committed of a study, and the page that is made of it again."""

import html
import json
import pathlib
import re
import shlex
import shutil

import pytest

from experiments import figures, join, page, publish
from experiments.shared import study_report
from rlhf_jax.analysis.claims import registry
from tests.experiments.test_join import part

ROOT = pathlib.Path(__file__).parents[2]
NASTY = '<script>alert(1)</script>'
REPLY = {'policy': 'p', 'iteration': 0, 'text': NASTY, 'scores': {'gold': 1.0}}
ITEM = {'prompt': 'asked', 'kind': 'helpful', 'family': 'f', 'replies': [REPLY]}


def links_of(text):
  """Files beside the page that it links to."""
  found = set(re.findall(r'<a [^>]*href="([^"#][^"]*)"', text))
  return sorted(link for link in found if not link.startswith('data:'))


@pytest.fixture(scope='module')
def headline(tmp_path_factory):
  """The page of the headline study, made beside a copy of its files."""
  folder = tmp_path_factory.mktemp('study') / 'headline'
  shutil.copytree(
    ROOT / 'results' / 'headline',
    folder,
    ignore=shutil.ignore_patterns('report'),
  )
  assert page.main([str(folder)]) == 0
  return folder / 'report' / 'index.html'


def test_the_page_of_the_largest_committed_study_can_be_sent_around(headline):
  text = headline.read_text()
  assert len(text.encode()) < 2e6
  assert all((headline.parent / link).is_file() for link in links_of(text))
  claims = json.loads((headline.parents[1] / 'claims.json').read_text())
  judged = [c['id'] for c in claims['claims'] if c['verdict'] != 'not run']
  strip = re.findall(r'<li><a class="[a-z]+" href="#claim-(\d+)"', text)
  assert sorted(map(int, strip)) == sorted(judged) and len(judged) > 20


def test_the_page_of_a_committed_study_shows_replies_of_its_policies(headline):
  samples = json.loads((headline.parents[1] / 'samples.json').read_text())
  families = {item['family'] for item in samples}
  assert len(families) > 15
  text = headline.read_text()
  shown = {name for name in families if f'>{name}</label>' in text}
  assert shown == families


def study(folder):
  """A finished study as `publish` reads one, without replies."""
  part(folder, range(200, 202))
  (folder / 'report').mkdir()
  shutil.move(folder / 'claims.json', folder / 'report' / 'claims.json')
  (folder / 'figures').mkdir()
  return folder


def test_replies_are_published_and_shown_as_text(tmp_path, monkeypatch):
  workdir, out = study(tmp_path / 'run'), tmp_path / 'out'
  monkeypatch.setattr(study_report, 'samples_of', lambda folder: [ITEM])
  command = [f'--workdir={workdir}', f'--out={out}']
  assert publish.main(command) == 0
  assert json.loads((out / 'samples.json').read_text()) == [ITEM]
  assert page.main([str(out)]) == 0
  text = (out / 'report' / 'index.html').read_text()
  assert '&lt;script&gt;alert(1)' in text and NASTY not in text
  # A study without replies leaves none of an earlier one.
  monkeypatch.undo()
  assert publish.main(command) == 0
  assert not (out / 'samples.json').exists()


def test_of_people_no_prompt_and_of_a_machine_no_path_is_published(
  tmp_path, monkeypatch
):
  workdir, out = study(tmp_path / 'run'), tmp_path / 'out'
  monkeypatch.setattr(study_report, 'samples_of', lambda folder: [ITEM])
  file = workdir / 'config.json'
  data = {'source': 'hh', 'path': '/home/someone/data'}
  rl = {'data': data, 'prompt': 'a / b', 'targets': ['attention/out/kernel']}
  config = {'data': data, 'rl': rl, 'seeds': [200, 201]}
  file.write_text(json.dumps(json.loads(file.read_text()) | {'config': config}))
  assert publish.main([f'--workdir={workdir}', f'--out={out}']) == 0
  assert not (out / 'samples.json').exists()
  own = {'source': 'hh', 'path': 'data'}
  kept = json.loads((out / 'config.json').read_text())['config']
  assert kept == {'data': own, 'rl': rl | {'data': own}, 'seeds': [200, 201]}


def test_the_whole_shows_the_replies_of_its_first_part(tmp_path):
  a = part(tmp_path / 'a', range(200, 204))
  b = part(tmp_path / 'b', range(204, 208))
  (tmp_path / 'a' / 'samples.json').write_text(json.dumps([ITEM]))
  whole = tmp_path / 'whole'
  assert join.main([a, b, f'--out={whole}']) == 0
  assert json.loads((whole / 'samples.json').read_text()) == [ITEM]
  assert join.main([b, a, f'--out={whole}']) == 0
  assert not (whole / 'samples.json').exists()


def commands_of(text):
  """Figure -> the arguments of the command in its caption."""
  found = {}
  for name, own in re.findall(
    r'<figure id="figure-(\w+)">(.*?)</figure>', text, re.S
  ):
    (command,) = re.findall(r'Drawn again by:\s+<code>([^<]+)</code>', own)
    python, option, module, *words = shlex.split(html.unescape(command))
    assert (python, option, module) == ('python', '-m', 'experiments.figures')
    found[name] = words
  return found


def test_every_caption_of_the_headline_names_its_command(headline):
  drawn = {x.stem for x in (headline.parents[1] / 'figures').glob('*.svg')}
  found = commands_of(headline.read_text())
  assert set(found) == drawn and len(drawn) >= 15
  assert all(words[1] == f'--figure={name}' for name, words in found.items())


def test_the_command_of_a_caption_makes_that_figure_again(tmp_path):
  """To the byte, from the tables alone; kwise has few and quick ones."""
  folder, first = tmp_path / 'kwise', tmp_path / 'first'
  skipped = shutil.ignore_patterns('report')
  shutil.copytree(ROOT / 'results' / 'kwise', folder, ignore=skipped)
  committed = sorted(x.name for x in (folder / 'figures').iterdir())
  assert figures.main([f'--workdir={folder}', f'--out={first}']) == 0
  assert page.main([str(folder)]) == 0
  found = commands_of((folder / 'report' / 'index.html').read_text())
  shutil.rmtree(folder / 'figures')
  for name, words in found.items():
    assert figures.main(words) == 0
    for file in (f'{name}.svg', f'{name}.png'):
      drawn = (folder / 'figures' / file).read_bytes()
      assert drawn == (first / file).read_bytes()
  assert sorted(x.name for x in (folder / 'figures').iterdir()) == committed


def test_chapters_with_claims_of_the_headline_have_a_reading(headline):
  """In two sentences or three, which stand at their head."""
  text = headline.read_text()
  claims = json.loads((headline.parents[1] / 'claims.json').read_text())
  ran = {c['id'] for c in claims['claims'] if c['verdict'] != 'not run'}
  themes = registry.load().themes
  wanted = {
    name
    for name, theme in themes.items()
    if ran & {spec.id for spec in theme.claims}
  }
  readings = json.loads((headline.parents[1] / 'readings.json').read_text())
  assert wanted <= set(readings) and len(wanted) > 6
  for name, reading in readings.items():
    assert 1 <= reading.count('. ') + 1 <= 3, name
    chapter = text.split(f'id="chapter-{name}"')[1].split('<section>')[0]
    assert html.escape(reading) in chapter


def test_a_reading_is_text_and_of_a_theme_that_there_is(tmp_path, capsys):
  folder = tmp_path / 'a'
  part(folder, range(200, 202))
  file = folder / 'readings.json'
  file.write_text(json.dumps({'ppo': NASTY}))
  assert page.main([str(folder)]) == 0
  text = (folder / 'report' / 'index.html').read_text()
  assert html.escape(NASTY) in text and NASTY not in text
  file.write_text(json.dumps({'comon': 'x'}))
  assert page.main([str(folder)]) == 1
  assert 'wanted names of themes, common, ' in capsys.readouterr().err


def test_what_is_no_committed_study_is_one_line(tmp_path, capsys):
  assert page.main([str(tmp_path)]) == 1
  assert 'claims.json' in capsys.readouterr().err
