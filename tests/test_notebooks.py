import ast
import pathlib

import nbclient
import nbformat
import pytest

from rlhf_jax.analysis import runs
from scripts import run_notebooks
from tests.analysis import tables_fixture

pytestmark = pytest.mark.slow  # runs the notebooks

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / 'notebooks').glob('*.ipynb'))
LIBRARIES = {'IPython', 'numpy', 'os', 'pandas', 'pathlib', 'tempfile'}


def _code(path):
  cells = nbformat.read(path, as_version=4).cells
  return [cell.source for cell in cells if cell.cell_type == 'code']


def _execute(path, workdir, monkeypatch):
  monkeypatch.setenv('RLHF_JAX_RUN', str(workdir))
  notebook = nbformat.read(path, as_version=4)
  resources = {'metadata': {'path': str(ROOT)}}
  client = nbclient.NotebookClient(notebook, timeout=120, resources=resources)
  return client.execute()


def test_there_are_notebooks():
  assert NOTEBOOKS


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_names_the_commands_that_open_and_run_it(path):
  notebook = nbformat.read(path, as_version=4)
  nbformat.validate(notebook)
  first = notebook.cells[0].source
  assert f'jupyter lab notebooks/{path.name}' in first
  assert 'python -m scripts.run_notebooks' in first


def _shown(notebook):
  """Figures and tables of a notebook: their text, without object ids."""
  return [
    [output.get('text') or dict(output.data) for output in cell.outputs]
    for cell in notebook.cells
    if cell.cell_type == 'code'
  ]


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_the_outputs_it_holds_are_those_of_the_committed_study(
  path, monkeypatch
):
  monkeypatch.setenv('RLHF_JAX_RUN', 'results/micro')
  kept = _shown(nbformat.read(path, as_version=4))
  assert sum(len(outputs) for outputs in kept) >= 5
  assert kept == _shown(run_notebooks.executed(path, 'results/micro'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_only_the_analysis_room(path):
  for node in ast.walk(ast.parse('\n'.join(_code(path)))):
    if isinstance(node, ast.Import):
      modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      modules = [node.module]
    else:
      continue
    for module in modules:
      is_ours = module.startswith('rlhf_jax.analysis')
      assert is_ours or module.split('.')[0] in LIBRARIES, module


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_a_small_study(path, tmp_path, monkeypatch):
  runs.write_tables(tables_fixture.tables(), tmp_path / 'tables')
  executed = _execute(path, tmp_path, monkeypatch)
  outputs = [
    output.data
    for cell in executed.cells
    for output in cell.get('outputs', [])
    if 'data' in output
  ]
  assert sum('image/svg+xml' in data for data in outputs) == 3
  frames = [data['text/html'] for data in outputs if 'text/html' in data]
  (fits,) = [frame for frame in frames if 's0' in frame]
  assert fits.count('<tr') == 1 + 9  # three sizes, three seeds


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_without_a_study_says_what_is_missing(
  path, tmp_path, monkeypatch
):
  with pytest.raises(nbclient.exceptions.CellExecutionError, match='no direc'):
    _execute(path, tmp_path / 'nowhere', monkeypatch)
