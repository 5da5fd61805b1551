"""The first line of a script, and of what is none."""

import os
import subprocess
import sys

import pytest
from experiments_command import ROOT

import experiments


def begun(module, *arguments, folder=ROOT, **environment):
  """The process of `python -m MODULE` with libraries that end it at once."""
  return subprocess.run(
    [sys.executable, '-m', module, *arguments],
    cwd=folder,
    env=os.environ | environment,
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize('name', ('train_pm', 'train_ppo', 'reproduce'))
def test_a_script_speaks_before_it_loads_a_library(name, tmp_path):
  """JAX and pandas end the process here; they take seconds elsewhere."""
  for library in ('jax', 'pandas', 'numpy', 'absl'):
    (tmp_path / f'{library}.py').write_text('raise SystemExit(7)')
  done = begun(f'experiments.{name}', PYTHONPATH=f'{tmp_path}')
  assert done.returncode == 7
  assert done.stderr.startswith(f'{name}: starting')
  assert done.stdout == '' and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
  'module',
  [
    'experiments',
    'experiments.import_hh',
    'experiments.shared.files',
    'experiments.trian_pm',
  ],
)
def test_a_module_that_is_no_script_says_so(module):
  done = begun(module, '--help')
  assert done.returncode == 2 and done.stdout == ''
  (line,) = done.stderr.splitlines()
  assert line.startswith(f'error: {module} is no script: ')
  assert 'train_pm' in line and 'import_hh,' not in line.split(': ')[2]


def test_scripts_are_the_modules_with_a_main():
  found = set(experiments.scripts())
  assert {'reproduce', 'sweep', 'cluster', 'train_ppo', 'tune_pm'} <= found
  assert 'import_hh' not in found


@pytest.mark.parametrize(
  ('argv', 'words', 'module'),
  [
    (['-m'], ['python', '-m', 'experiments.a', '-m', 'b'], 'experiments.a'),
    (['/x/experiments/a.py'], ['python', '-m', 'experiments.a'], ''),
    (['-c'], ['python', '-c', 'import experiments'], ''),
    ([], [], ''),
  ],
)
def test_only_the_start_of_a_script_has_a_first_line(argv, words, module):
  assert experiments.asked(argv, words) == module
