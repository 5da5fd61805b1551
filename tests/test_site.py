"""The documentation as a site: its pages are put together as they should be."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

from scripts import make_api_doc, make_site

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCSTRING = """Mean of some units, |x|_2 * 2.

    m = sum_n x_n / N
      for all n

  It has `code` and:

  - one item
    that goes on,
  - another.

  Args:
    x_N: the units,
      on two lines.
    name: of them.

  Returns:
    A number <b> of these.
  """


def test_a_docstring_keeps_its_layout_and_nothing_in_it_is_markup():
  assert make_api_doc.markdown_of(DOCSTRING).split('\n\n') == [
    r'Mean of some units, \|x\|\_2 \* 2.',
    '```text\nm = sum_n x_n / N\n  for all n\n```',
    'It has `code` and:',
    '- one item\n  that goes on,\n- another.',
    '**Args**',
    '- **x\\_N**: the units, on two lines.\n- **name**: of them.',
    '**Returns**',
    r'A number \<b\> of these.',
  ]


def test_a_module_shows_what_is_public_with_its_signature(tmp_path):
  file = tmp_path / 'rlhf_jax' / 'room' / 'a.py'
  file.parent.mkdir(parents=True)
  file.write_text(
    '"""Things."""\n\ndef f(x_N, k=1) -> float:\n  """One."""\n\n'
    'def _g():\n  pass\n\nclass A(NamedTuple):\n  """Two."""\n\n'
    '  @property\n  def b(self):\n    """Three."""\n'
  )
  text = make_api_doc.module_section(file, tmp_path)
  assert text.startswith('## `rlhf_jax.room.a`')
  for wanted in (
    '``````{py:function} f(x_N, k=1) -> float\n\nOne.\n``````',
    '``````{py:class} A(NamedTuple)\n\nTwo.\n\n`````{py:property} b\n\nThree.',
  ):
    assert wanted in text
  assert '_g' not in text
  pages = make_api_doc.pages(tmp_path)
  assert list(pages) == ['room', 'index'] and 'room' in pages['index']


def test_every_room_has_a_page_and_every_function_stands_on_it():
  pages = make_api_doc.pages()
  assert {'analysis', 'losses', 'models', 'train', 'types'} <= set(pages)
  assert '{py:function} pairwise_loss(' in pages['losses']
  assert '{py:class} PairBatch(NamedTuple)' in pages['types']


def test_mentions_of_pages_become_links_outside_of_code():
  text = (
    '`docs/claims.md`, docs/lora.md and (docs/scale.md), `cat docs/a.md`.\n\n'
    '    cat docs/a.md\n\n```text\ndocs/b.md\n```\n\n'
    '[A](own-pairs.md) [B](../notebooks/tension.ipynb)'
    ' [C](../results/micro/README.md) `notebooks/tension.ipynb`\n'
  )
  assert make_site.linked(text) == (
    '[`docs/claims.md`](claims.md), [`docs/lora.md`](lora.md) and '
    '([`docs/scale.md`](scale.md)), `cat docs/a.md`.\n\n'
    '    cat docs/a.md\n\n```text\ndocs/b.md\n```\n\n'
    '[A](own-pairs.md) [B](notebooks/tension.md)'
    ' C (`results/micro/README.md`) '
    '[`notebooks/tension.ipynb`](notebooks/tension.md)\n'
  )


def test_a_notebook_becomes_a_page_with_its_figures_and_tables():
  table = (
    '<div>\n<style scoped>\n  .a {}\n</style>\n<table>\n\n<tr></tr></table>'
  )
  outputs = [
    {'output_type': 'stream', 'text': ['one\n', 'two\n']},
    {'data': {'image/svg+xml': ['<svg/>'], 'text/plain': ['<SVG>']}},
    {'data': {'text/html': [table], 'text/plain': ['t']}},
    {'data': {'text/plain': ['3.0']}},
  ]
  cells = [
    {'cell_type': 'markdown', 'source': ['# A\n', '`docs/claims.md`']},
    {'cell_type': 'code', 'source': ['f()'], 'outputs': outputs},
  ]
  page, figures = make_site.notebook_page({'cells': cells}, 'n')
  assert figures == {'n-0.svg': '<svg/>'}
  assert page.split('\n\n') == [
    '# A\n[`docs/claims.md`](../claims.md)',
    '```python\nf()\n```',
    '```text\none\ntwo\n```',
    '![figure 1 of the notebook](n-0.svg)',
    '<div>\n<table>\n<tr></tr></table>',
    '```text\n3.0\n```\n',
  ]


def test_contents_are_read_from_their_blocks():
  text = '```{toctree}\n:hidden:\n\na\nb/c\n```\n\n```{toctree}\nd\n```\n'
  assert make_site.contents(text) == ['a', 'b/c', 'd']


def test_the_site_has_all_pages_and_what_they_show(tmp_path):
  make_site.write(tmp_path / 'site')
  for name in ('index.md', 'claims.md', 'api/losses.md', 'api/index.md'):
    assert (tmp_path / 'site' / name).is_file(), name
  for file in (ROOT / 'notebooks').glob('*.ipynb'):
    cells = json.loads(file.read_text())['cells']
    page = (tmp_path / 'site' / 'notebooks' / f'{file.stem}.md').read_text()
    assert page.startswith(''.join(cells[0]['source']).splitlines()[0])
  assert (tmp_path / 'site' / 'notebooks' / 'tension-0.svg').is_file()


@pytest.mark.slow  # builds the site
@pytest.mark.skipif(
  importlib.util.find_spec('sphinx') is None,
  reason='sphinx is not installed (make docs does)',
)
def test_the_site_is_built_without_a_warning(tmp_path):
  make_site.write(tmp_path / 'site')
  words = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-n', '-q']
  words += ['-c', ROOT / 'docs', tmp_path / 'site', tmp_path / 'html']
  done = subprocess.run(words, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  page = (tmp_path / 'html' / 'api' / 'losses.html').read_text()
  assert 'pairwise_loss' in page
