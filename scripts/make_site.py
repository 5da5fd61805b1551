"""Puts the pages of the documentation together for sphinx (`make docs`).

python -m scripts.make_site FOLDER

Pages of docs/ are taken as they are, but that mentions of other pages become
links. Notebooks become pages of their cells and what those showed, and the API
reference is made of the docstrings. docs/index.md holds the contents.
"""

import json
import pathlib
import re
import shutil
import sys

from scripts import make_api_doc

ROOT = pathlib.Path(__file__).resolve().parents[1]
_FENCED = re.compile(r'(^```.*?^```$|(?:^(?: {4}[^\n]*)?\n)+)', re.M | re.S)
# A span of code, or a page that is mentioned outside of one.
_MENTION = re.compile(
  r'`((?:[^`\n]|\n(?!\n))+)`|(?<![\w/\[])(?<!\]\()docs/([\w-]+)\.md'
)
_OUTSIDE = re.compile(r'\[([^\]]+)\]\(\.\./([^)#]+)\)')
_TOCTREE = re.compile(r'^```\{toctree\}\n(.*?)^```$', flags=re.M | re.S)


def contents(index: str) -> list[str]:
  """Entries of the tables of contents of docs/index.md, in their order."""
  return [
    line
    for block in _TOCTREE.findall(index)
    for line in block.split('\n\n', 1)[-1].split()
  ]


def linked(text: str, up: str = '') -> str:
  """A page whose mentions of pages and notebooks are links.

  Blocks of code stay as they are. A link to a file outside of the site becomes
  its path.

  Args:
    text: of the page.
    up: path from the page's folder to that of docs/.
  """
  parts = _FENCED.split(text)
  return ''.join(
    part if i % 2 else _linked(part, up) for i, part in enumerate(parts)
  )


def _linked(text, up):
  text = re.sub(
    r'\]\(\.\./notebooks/(\w+)\.ipynb\)', r'](notebooks/\1.md)', text
  )
  text = _OUTSIDE.sub(r'\1 (`\2`)', text)
  return _MENTION.sub(lambda found: _link(found, up), text)


def _link(found, up):
  """The link that takes the place of a mention; other code stays."""
  name = found[2] and f'docs/{found[2]}.md'
  name = name or ' '.join(found[1].split())
  if page := re.fullmatch(r'docs/([\w-]+)\.md', name):
    return f'[`{name}`]({up}{page[1]}.md)'
  if notebook := re.fullmatch(r'notebooks/([a-z]\w*)\.ipynb', name):
    return f'[`{name}`]({up}notebooks/{notebook[1]}.md)'
  return found[0]


def notebook_page(notebook: dict, name: str) -> tuple[str, dict[str, str]]:
  """A notebook as a page, and the figures that it shows: {file: SVG}.

  Args:
    notebook: of its JSON.
    name: of the notebook.
  """
  parts, figures = [], {}
  for cell in notebook['cells']:
    source = ''.join(cell['source'])
    if cell['cell_type'] == 'markdown':
      parts.append(linked(source, '../'))
      continue
    parts.append(f'```python\n{source}\n```')
    for output in cell['outputs']:
      data = output.get('data', {})
      if 'image/svg+xml' in data:
        file = f'{name}-{len(figures)}.svg'
        figures[file] = ''.join(data['image/svg+xml'])
        parts.append(f'![figure {len(figures)} of the notebook]({file})')
      elif 'text/html' in data:
        html = ''.join(data['text/html'])
        html = re.sub(r'<style.*?</style>\n?', '', html, flags=re.S)
        parts.append(re.sub(r'\n\s*\n', '\n', html))  # or Markdown ends it
      else:
        text = ''.join(output.get('text') or data.get('text/plain', ''))
        parts.append(f'```text\n{text.rstrip()}\n```')
  return '\n\n'.join(parts) + '\n', figures


def write(folder) -> None:
  """Writes all pages below a folder, which is emptied first."""
  folder = pathlib.Path(folder)
  shutil.rmtree(folder, ignore_errors=True)
  shutil.copytree(ROOT / 'docs' / 'figures', folder / 'figures')
  for file in (ROOT / 'docs').glob('*.md'):
    (folder / file.name).write_text(linked(file.read_text()))
  for part in ('notebooks', 'api'):
    (folder / part).mkdir()
  for file in (ROOT / 'notebooks').glob('*.ipynb'):
    page, figures = notebook_page(json.loads(file.read_text()), file.stem)
    (folder / 'notebooks' / f'{file.stem}.md').write_text(page)
    for name, text in figures.items():
      (folder / 'notebooks' / name).write_text(text)
  for name, page in make_api_doc.pages().items():
    page = linked(page, '../') if name == 'index' else page
    (folder / 'api' / f'{name}.md').write_text(page)


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit('wanted one folder: python -m scripts.make_site FOLDER')
  write(sys.argv[1])
