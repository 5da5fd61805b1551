"""The pages as a browser shows them: nothing overflows, no script runs.

Needs Chromium (apt-get install chromium). Without it the tests are left out
with that reason; with RLHF_JAX_BROWSER=1 they fail.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from rlhf_jax.analysis import claims_io, compare, figures, report, runs

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ('chromium', 'chromium-browser', 'google-chrome')
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
    letters: Math.min(...[...page.querySelectorAll('p, td, li')].map(
      e => parseFloat(getComputedStyle(e).fontSize))),
  }});
}};</script></body>"""


def browser():
  """Path of a browser; without one the test is left out, or fails."""
  found = next(filter(None, map(shutil.which, NAMES)), None)
  if found:
    return found
  reason = f'none of {", ".join(NAMES)}: apt-get install chromium'
  if os.environ.get('RLHF_JAX_BROWSER') == '1':
    pytest.fail(reason)
  pytest.skip(reason)


def looked_at(page, width, tmp_path):
  """What a frame of a width holds of a page."""
  probe = tmp_path / f'probe-{width}.html'
  probe.write_text(PROBE.format(width=width, page=page.as_uri()))
  flags = '--headless --no-sandbox --disable-gpu --dump-dom'
  flags += ' --allow-file-access-from-files --virtual-time-budget=5000'
  profile = f'--user-data-dir={tmp_path / "profile"}'
  command = [browser(), *flags.split(), profile, probe.as_uri()]
  done = subprocess.run(command, capture_output=True, text=True, timeout=120)
  text = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.S)
  assert text and text[1], done.stderr[-500:]
  return json.loads(text[1].replace('&gt;', '>'))


@pytest.fixture(scope='module')
def page(tmp_path_factory):
  """The report of the committed micro study, with text that would run."""
  browser()
  folder, study = tmp_path_factory.mktemp('page'), ROOT / 'results' / 'micro'
  tables = runs.read_tables(study / 'tables')
  few = {
    name: tables[name] for name in ('lm', 'pm_curve', 'rl_curve', 'rl_pi0')
  }
  names = ('reward_vs_sqrt_kl', 'pm_accuracy_vs_pairs')
  drawn = {n: figures.FIGURES[n](tables, folder / 'figures') for n in names}
  document = claims_io.read_claims(study / 'claims.json')
  texts = dict.fromkeys(('prompt', 'pi0_reply', 'final_reply'), NASTY)
  extras = {'samples': [texts | {'scores': {NASTY: 1.0}}]}
  return report.write_report(folder, document, few, drawn, extras)


@pytest.mark.parametrize('width', [400, 1200])
def test_the_report_fits_and_runs_nothing(page, width, tmp_path):
  found = looked_at(page, width, tmp_path)
  assert found['wide'] == [] and found['scroll'] <= width
  assert found['ran'] == ''
  assert found['chips'] == 17
  assert len(found['images']) == 2 and min(found['images']) > 300
  assert found['letters'] >= 12


def test_a_comparison_fits_a_narrow_screen(tmp_path):
  browser()
  folders = [ROOT / 'results' / name for name in ('smollm2', 'smollm2_full')]
  found = looked_at(compare.write(folders, tmp_path / 'out'), 400, tmp_path)
  assert found['wide'] == [] and found['scroll'] <= 400
  assert min(found['images']) > 300


def test_the_probe_sees_what_is_too_wide_and_what_runs(tmp_path):
  browser()
  page = tmp_path / 'bad.html'
  page.write_text(f'<body><p style="width: 900px">x</p>{NASTY}</body>')
  found = looked_at(page, 400, tmp_path)
  assert found['wide'] == ['P.'] and found['scroll'] > 800
  assert found['ran'] == '1'
