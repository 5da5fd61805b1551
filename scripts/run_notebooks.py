"""Makes the notebooks from their text forms, and runs them.

A notebook is written as `notebooks/NAME.py`, in the percent format that Jupyter
(with jupytext) and most editors open: `# %%` begins a cell of code and
`# %% [markdown]` one of text, every line of which is a comment. NAME.ipynb
beside it holds the same cells, and what they show on results/headline.

python -m scripts.run_notebooks [NAME ...]
"""

import os
import pathlib
import re
import sys

import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / 'notebooks'
STUDY = 'results/headline'
_CELL = re.compile(r'^# %%(?P<text> \[markdown\])?\n', flags=re.M)


def cells_of(text: str) -> list[tuple[str, str]]:
  """The cells of a text form: ('code' or 'markdown', source).

  Raises:
    ValueError: if something stands before the first cell, or a line of a cell
      of text is no comment.
  """
  head, *parts = _CELL.split(text)
  if head.strip():
    raise ValueError(f'wanted a line "# %%" before anything, got {head[:60]!r}')
  kinds = ('markdown' if mark else 'code' for mark in parts[::2])
  return [
    (kind, _plain(source.strip('\n')) if kind == 'markdown' else source.strip())
    for kind, source in zip(kinds, parts[1::2], strict=True)
  ]


def _plain(source):
  """Text without the marks of its comments."""
  lines = source.splitlines()
  for line in lines:
    if line != '#' and not line.startswith('# '):
      raise ValueError(f'wanted "# " before every line of text, got {line!r}')
  return '\n'.join(line[2:] for line in lines)


def notebook_of(text: str):
  """The notebook of a text form, not yet run; equal texts give equal ones."""
  make = {
    'code': nbformat.v4.new_code_cell,
    'markdown': nbformat.v4.new_markdown_cell,
  }
  cells = [
    make[kind](source, id=f'cell-{i}')
    for i, (kind, source) in enumerate(cells_of(text))
  ]
  kernel = {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'}
  return nbformat.v4.new_notebook(cells=cells, metadata={'kernelspec': kernel})


def executed(notebook, study=STUDY):
  """The notebook with the outputs that the tables of a study give.

  Args:
    notebook: of `notebook_of`; it is changed.
    study: directory that holds tables/, relative to the repository.
  """
  os.environ['RLHF_JAX_RUN'] = str(study)
  resources = {'metadata': {'path': str(ROOT)}}
  nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
  for cell in notebook.cells:
    cell.metadata.pop('execution', None)  # times of day
  notebook.metadata.language_info = {'name': 'python'}
  return notebook


def main(names=()) -> None:
  """Writes the .ipynb of the text forms with these names; of all without."""
  for file in sorted(FOLDER.glob('*.py')):
    if names and file.stem not in names:
      continue
    notebook = executed(notebook_of(file.read_text()))
    nbformat.write(notebook, file.with_suffix('.ipynb'))
    print(f'notebooks/{file.stem}.ipynb: its outputs are those of {STUDY}')


if __name__ == '__main__':
  main(sys.argv[1:])
