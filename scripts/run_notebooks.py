"""Runs the notebooks on results/micro and keeps what they show.

python -m scripts.run_notebooks
"""

import os
import pathlib

import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[1]


def executed(path, study):
  """A notebook with the outputs that the tables of a study give.

  Args:
    path: of the .ipynb.
    study: directory that holds tables/, relative to the repository.
  """
  notebook = nbformat.read(path, as_version=4)
  os.environ['RLHF_JAX_RUN'] = str(study)
  resources = {'metadata': {'path': str(ROOT)}}
  nbclient.NotebookClient(notebook, timeout=120, resources=resources).execute()
  for cell in notebook.cells:
    cell.metadata.pop('execution', None)  # times of day
  notebook.metadata.language_info = {'name': 'python'}
  return notebook


if __name__ == '__main__':
  for file in sorted((ROOT / 'notebooks').glob('*.ipynb')):
    nbformat.write(executed(file, 'results/micro'), file)
    print(f'{file.relative_to(ROOT)}: outputs are those of results/micro')
