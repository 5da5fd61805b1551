"""The pages as a browser shows them: nothing overflows, no script runs.

Needs Chromium (apt-get install chromium). Without it the tests are left out
with that reason; with RLHF_JAX_BROWSER=1 they fail.
"""

import base64
import html
import json
import pathlib
import re
import shutil
import subprocess

import pytest

from experiments.shared import published
from rlhf_jax.analysis import claims_io, compare, figures, report, runs
from tests import browser

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.slow  # starts a browser
NASTY = '<script>document.body.dataset.ran = 1</script>'
# A frame of that width, measured from outside once it is loaded.
PROBE = """<!DOCTYPE html><body><iframe width="{width}" height="900"
src="{page}"></iframe><pre id="out"></pre><script>
window.onload = () => {{
  const page = document.querySelector('iframe').contentDocument;
  const wide = [...page.querySelectorAll('body *')].filter(
    e => !e.closest('.wide, svg') &&
      e.getBoundingClientRect().right > {width} + 1);
  document.getElementById('out').textContent = JSON.stringify({{
    ran: page.body.dataset.ran || '',
    scroll: page.documentElement.scrollWidth,
    wide: wide.map(e => e.tagName + '.' + e.className).slice(0, 5),
    images: [...page.images].map(i => i.naturalWidth),
    chips: page.querySelectorAll('.strip li').length,
    colours: [...page.querySelectorAll(
      'body, a, .verdict, .muted, dt, td')].map(
      e => page.defaultView.getComputedStyle(e).color),
    paper: page.defaultView.getComputedStyle(page.body).backgroundColor,
    letters: Math.min(...[...page.querySelectorAll(
      'p, td, li, figcaption, code')].map(
      e => parseFloat(getComputedStyle(e).fontSize))),
    families: [...page.querySelectorAll('.labels label')].map(label => {{
      label.click();
      const shown = [...page.querySelectorAll('.sample')].filter(
        e => e.offsetHeight);
      return [label.textContent, shown.map(
        e => e.querySelector('.asked').textContent), page.defaultView
        .getComputedStyle(label).backgroundColor ===
          page.defaultView.getComputedStyle(page.body).color];
    }}),
  }});
}};</script></body>"""


def looked_at(page, width, tmp_path, dark=False):
  """What a frame of a width holds of a page, for eyes that like it dark."""
  probe = tmp_path / f'probe-{width}.html'
  probe.write_text(PROBE.format(width=width, page=page.as_uri()))
  flags = '--headless --no-sandbox --disable-gpu --dump-dom'
  flags += ' --allow-file-access-from-files --virtual-time-budget=5000'
  flags += f' --blink-settings=preferredColorScheme={int(not dark)}'
  profile = f'--user-data-dir={tmp_path / "profile"}'
  command = [browser.path(), *flags.split(), profile, probe.as_uri()]
  done = subprocess.run(command, capture_output=True, text=True, timeout=120)
  text = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.S)
  assert text and text[1], done.stderr[-500:]
  return json.loads(html.unescape(text[1]))


ASKED = (('sort', 'one'), ('sort', NASTY), ('add', 'long' * 60))


def asked(family, prompt):
  """Replies of two policies, of which each token is marked."""
  pieces = [NASTY, ' then', ' ' + 'w' * 80, '']
  reply = {'text': ''.join(pieces), 'scores': {NASTY: 1.0, 'KL': 2.0}}
  reply |= {'pieces': pieces, 'k1': [4.0, -0.7, 0.2, 0.0], 'of': 17}
  reply |= {'counted': 17, 'range': [-1.0, 2.0]}
  replies = [
    reply | {'policy': policy, 'iteration': iteration}
    for policy in ('13K', NASTY)
    for iteration in (0, 4, 34)
  ]
  return {'prompt': prompt, 'family': family, 'replies': replies}


@pytest.fixture(scope='module')
def page(tmp_path_factory):
  """The report of the committed micro study, with text that would run."""
  browser.path()
  folder, study = tmp_path_factory.mktemp('page'), ROOT / 'results' / 'micro'
  tables = runs.read_tables(study / 'tables')
  few = {
    name: tables[name] for name in ('lm', 'pm_curve', 'rl_curve', 'rl_pi0')
  }
  names = ('reward_vs_sqrt_kl', 'pm_accuracy_vs_pairs')
  drawn = {n: figures.FIGURES[n](tables, folder / 'figures') for n in names}
  document = claims_io.read_claims(study / 'claims.json')
  runs.write_tables(few, folder / 'tables')
  extras = {'samples': [asked(*row) for row in ASKED]}
  return report.write_report(folder, document, few, drawn, extras)


@pytest.mark.parametrize('width', [400, 1200])
def test_the_report_fits_and_runs_nothing(page, width, tmp_path):
  found = looked_at(page, width, tmp_path)
  assert found['wide'] == [] and found['scroll'] <= width
  assert found['ran'] == ''
  assert found['chips'] == 17
  assert len(found['images']) == 2 and min(found['images']) > 300
  assert found['letters'] >= 12


@pytest.mark.parametrize('width', [400, 1200])
def test_the_page_of_the_headline_study_fits(width, tmp_path):
  """All of its figures are drawn, from the text that stands in the page."""
  browser.path()
  folder = tmp_path / 'headline'
  skipped = shutil.ignore_patterns('report')
  shutil.copytree(ROOT / 'results' / 'headline', folder, ignore=skipped)
  found = looked_at(published.write_page(folder), width, tmp_path)
  assert found['wide'] == [] and found['scroll'] <= width
  assert len(found['images']) >= 15 and min(found['images']) > 300
  assert len(found['families']) > 15 and found['ran'] == ''


def luminance(colour):
  """Relative luminance of 'rgb(r, g, b)' (WCAG 2)."""
  parts = [int(x) / 255 for x in re.findall(r'\d+', colour)[:3]]
  linear = [
    x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts
  ]
  return sum(
    w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
  )


@pytest.mark.parametrize('dark', [False, True])
def test_every_colour_of_the_page_can_be_read(page, dark, tmp_path):
  """A contrast of 4.5 or more with the paper, by day and by night."""
  found = looked_at(page, 1200, tmp_path, dark)
  paper = luminance(found['paper'])
  assert paper < 0.05 if dark else paper > 0.9
  inks = {colour: luminance(colour) for colour in set(found['colours'])}
  assert len(inks) >= 5
  for colour, ink in inks.items():
    low, high = sorted((ink, paper))
    assert (high + 0.05) / (low + 0.05) >= 4.5, colour


def test_a_family_s_button_shows_its_prompts_alone(page, tmp_path):
  """No script of the page does it; the button that is on looks so."""
  found = looked_at(page, 400, tmp_path)['families']
  first, second, third = (prompt for _, prompt in ASKED)
  assert [[name, prompts] for name, prompts, _ in found] == [
    ['add', [third]],
    ['sort', [first, second]],
    ['all 3', [third, first, second]],
  ]
  assert all(on for *_, on in found)
  assert '<script' not in page.read_text()


def printed(tab):
  """(pages on paper, characters of the folds that are to be seen there)."""
  paper = base64.b64decode(tab.send('Page.printToPDF')['data'])
  tab.send('Emulation.setEmulatedMedia', media='print')
  folds = "[...document.querySelectorAll('details > :not(summary)')]"
  seen = f'{folds}.filter(e => e.checkVisibility())'
  letters = tab.value(f'{seen}.reduce((n, e) => n + e.textContent.length, 0)')
  tab.send('Emulation.setEmulatedMedia', media='')
  return len(re.findall(rb'/Type /Page\b', paper)), letters


def test_what_is_folded_on_the_screen_is_on_paper(page, tmp_path):
  """As if each fold had been opened; on the screen they stay as they are."""
  one = browser.Browser(tmp_path / 'profile')
  try:
    tab = one.visitor()
    tab.open(page.as_uri())
    shut = tab.value("document.querySelectorAll('details:not([open])').length")
    high = tab.value('document.body.scrollHeight')
    found = printed(tab)
    assert tab.value('document.body.scrollHeight') == high
    tab.value("document.querySelectorAll('details').forEach(e => e.open = 1)")
    assert tab.value('document.body.scrollHeight') > high + 1000
    assert printed(tab) == found
  finally:
    one.close()
  assert shut > 20 and found[0] > 5 and found[1] > 10_000


def test_every_link_of_the_page_has_its_target(page):
  """Beside the page or in it; every figure has both formats and its tables."""
  text = page.read_text()
  links = re.findall(r'<a [^>]*href="([^"]+)"', text)
  ids = set(re.findall(r' id="([^"]+)"', text))
  inside = {link[1:] for link in links if link[0] == '#'}
  beside = {link for link in links if link[0] != '#'}
  assert inside <= ids and len(inside) > 20
  assert all((page.parent / link).is_file() for link in beside)
  for name in re.findall(r'<figure id="figure-(\w+)"', text):
    assert {f'../figures/{name}.{x}' for x in ('svg', 'png')} <= beside
  assert {'../tables/rl_curve.csv', '../tables/pm_curve.csv'} <= beside
  assert len(text.encode()) < 2e6


def test_a_script_that_got_into_the_page_would_not_run(page, tmp_path):
  """The page forbids it, were a text not escaped."""
  other = tmp_path / 'broken.html'
  other.write_text(page.read_text().replace('</body>', f'{NASTY}</body>'))
  assert NASTY in other.read_text()
  assert looked_at(other, 400, tmp_path)['ran'] == ''


def test_a_comparison_fits_a_narrow_screen(tmp_path):
  browser.path()
  folders = [ROOT / 'results' / name for name in ('smollm2', 'smollm2_full')]
  found = looked_at(compare.write(folders, tmp_path / 'out'), 400, tmp_path)
  assert found['wide'] == [] and found['scroll'] <= 400
  assert min(found['images']) > 300 and found['letters'] >= 12


def test_the_probe_sees_what_is_too_wide_and_what_runs(tmp_path):
  browser.path()
  page = tmp_path / 'bad.html'
  page.write_text(f'<body><p style="width: 900px">x</p>{NASTY}</body>')
  found = looked_at(page, 400, tmp_path)
  assert found['wide'] == ['P.'] and found['scroll'] > 800
  assert found['ran'] == '1'
