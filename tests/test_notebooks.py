"""Notebooks: their text forms, what they kept, and that they run."""

import ast
import os
import pathlib
import subprocess
import sys

import nbclient
import nbformat
import pytest

from rlhf_jax.analysis import runs
from scripts import run_notebooks
from tests import last_digits
from tests.analysis import tables_fixture

ROOT = pathlib.Path(__file__).parents[1]
TEXTS = sorted((ROOT / 'notebooks').glob('*.py'))
STUDY = ('calibration', 'pm_scaling', 'reward_vs_kl', 'tension')  # read one
WITHOUT_JAX = (*STUDY, 'your_own_data')
LIBRARIES = {'IPython', 'numpy', 'os', 'pandas', 'pathlib', 'tempfile'}
# Runs a file where JAX and what needs it cannot be imported.
REFUSING = """
import importlib.abc, runpy, sys

class Refuse(importlib.abc.MetaPathFinder):
  def find_spec(self, name, path=None, target=None):
    if name.split('.')[0] in ('jax', 'jaxlib', 'flax', 'optax', 'chex'):
      raise ImportError(f'{name} is refused')

sys.meta_path.insert(0, Refuse())
runpy.run_path(sys.argv[1], run_name='__main__')
"""
by_name = pytest.mark.parametrize('text', TEXTS, ids=lambda path: path.stem)


def read(text):
  """The .ipynb beside a text form."""
  return nbformat.read(text.with_suffix('.ipynb'), as_version=4)


def outputs_of(notebook):
  """Figures, tables and printed text, without the ids of objects.

  What is printed in one go may come in pieces, which are put together.
  """
  found = []
  for cell in notebook.cells:
    if cell.cell_type != 'code':
      continue
    own = []
    for output in cell.outputs:
      one = output.get('text') or dict(output.data)
      if isinstance(one, str) and own and isinstance(own[-1], str):
        own[-1] += one
      else:
        own.append(one)
    found.append(own)
  return found


@by_name
def test_no_warning_is_among_the_outputs_it_holds(text):
  printed = [
    output
    for cell in read(text).cells
    for output in cell.get('outputs', ())
    if output.get('name') == 'stderr'
  ]
  assert printed == []


def test_what_is_printed_in_pieces_is_one_output():
  cell = nbformat.v4.new_code_cell('')
  stream = lambda text: nbformat.v4.new_output('stream', text=text)
  shown = nbformat.v4.new_output('display_data', {'text/plain': 'x'})
  cell.outputs = [stream('a'), stream('b'), shown, stream('c')]
  notebook = nbformat.v4.new_notebook(cells=[cell])
  assert outputs_of(notebook) == [['ab', {'text/plain': 'x'}, 'c']]


def test_a_text_form_is_cut_into_its_cells():
  text = '# %% [markdown]\n# # A\n#\n#     b\n# %%\na = 1\n\n\nb = 2\n'
  assert run_notebooks.cells_of(text) == [
    ('markdown', '# A\n\n    b'),
    ('code', 'a = 1\n\n\nb = 2'),
  ]


@pytest.mark.parametrize('text', ['a = 1\n# %%\n', '# %% [markdown]\nA\n'])
def test_a_text_form_with_something_out_of_place_is_refused(text):
  with pytest.raises(ValueError, match='wanted'):
    run_notebooks.cells_of(text)


def test_every_notebook_has_its_text_form_and_the_other_way_round():
  notebooks = sorted((ROOT / 'notebooks').glob('*.ipynb'))
  assert [path.stem for path in notebooks] == [path.stem for path in TEXTS]
  assert {*WITHOUT_JAX} <= {path.stem for path in TEXTS}


@by_name
def test_a_notebook_is_valid_short_and_says_what_its_text_form_says(text):
  notebook = read(text)
  nbformat.validate(notebook)
  cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
  assert cells == run_notebooks.cells_of(text.read_text()), (
    'run python -m scripts.run_notebooks'
  )
  assert len(cells) < 25


@by_name
def test_its_first_cell_names_the_commands_that_open_and_run_it(text):
  first = read(text).cells[0].source
  assert f'jupyter lab notebooks/{text.stem}.ipynb' in first
  assert 'python -m scripts.run_notebooks' in first


@by_name
def test_its_outputs_are_those_of_one_run_without_an_error(text):
  cells = [cell for cell in read(text).cells if cell.cell_type == 'code']
  assert [cell.execution_count for cell in cells] == [
    i + 1 for i in range(len(cells))
  ]
  kinds = [output.output_type for cell in cells for output in cell.outputs]
  assert len(kinds) >= 5 and 'error' not in kinds


@pytest.mark.parametrize('name', STUDY)
def test_a_notebook_on_a_study_uses_only_the_analysis_room(name):
  source = (ROOT / 'notebooks' / f'{name}.py').read_text()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      modules = [node.module]
    else:
      continue
    for module in modules:
      is_ours = module.startswith('rlhf_jax.analysis')
      assert is_ours or module.split('.')[0] in LIBRARIES, module


@pytest.mark.slow  # a process a notebook
@pytest.mark.parametrize('name', WITHOUT_JAX)
def test_what_reads_tables_alone_runs_where_jax_cannot_be_imported(name):
  done = subprocess.run(
    [sys.executable, '-c', REFUSING, ROOT / 'notebooks' / f'{name}.py'],
    cwd=ROOT,
    env=os.environ | {'RLHF_JAX_RUN': 'results/headline'},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  assert done.stdout.count('\n') > 20


@pytest.mark.slow  # runs the notebooks
@by_name
def test_the_outputs_it_holds_are_those_that_it_gives_now(text):
  """Where it trains, numbers differ between processors: kinds are compared."""
  kept = outputs_of(read(text))
  now = run_notebooks.executed(run_notebooks.notebook_of(text.read_text()))
  now = outputs_of(now)
  if text.stem not in WITHOUT_JAX:
    kinds = lambda x: sorted(x) if isinstance(x, dict) else 'printed'
    kept, now = ([list(map(kinds, x)) for x in found] for found in (kept, now))
  assert not last_digits.differing(kept, now)


def execute(name, workdir, monkeypatch):
  """The notebook, run on another study."""
  monkeypatch.setenv('RLHF_JAX_RUN', '')  # put back as it was afterwards
  text = (ROOT / 'notebooks' / f'{name}.py').read_text()
  return run_notebooks.executed(run_notebooks.notebook_of(text), workdir)


@pytest.mark.slow  # runs the notebooks
@pytest.mark.parametrize(
  ('name', 'drawn'),
  [('calibration', 2), ('pm_scaling', 3), ('reward_vs_kl', 4), ('tension', 3)],
)
def test_a_notebook_runs_on_a_small_study(name, drawn, tmp_path, monkeypatch):
  """And draws what its tables hold."""
  runs.write_tables(tables_fixture.tables(), tmp_path / 'tables')
  found = outputs_of(execute(name, tmp_path, monkeypatch))
  data = [x for cell in found for x in cell if isinstance(x, dict)]
  assert sum('image/svg+xml' in x for x in data) == drawn
  if name == 'reward_vs_kl':
    frames = [x['text/html'] for x in data if 'text/html' in x]
    [fits] = [frame for frame in frames if 's0' in frame]
    assert fits.count('<tr') == 1 + 9  # three sizes, three seeds


@pytest.mark.slow  # starts a kernel
@pytest.mark.parametrize('name', STUDY)
def test_a_notebook_without_a_study_says_what_is_missing(
  name, tmp_path, monkeypatch
):
  with pytest.raises(nbclient.exceptions.CellExecutionError, match='no direc'):
    execute(name, tmp_path / 'nowhere', monkeypatch)
