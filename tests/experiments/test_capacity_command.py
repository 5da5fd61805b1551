"""The command of a plan: errors in a line, and going on after a kill."""

import json

import pytest
from capacity_fixture import row_of, settings
from experiments_command import call, error_line, succeeded

from experiments import plan
from experiments.capacity.job import PROGRAMS

CONFIG, TOPOLOGY = settings(), 'v5p:4x4x4'
ALL = [(str(depth), key) for depth in (1, 2) for key in PROGRAMS]


class Compiler:
  """Stands for the TPU compiler: says what `row_of` says."""

  def __init__(self):
    self.calls, self.dies_after = [], None

  def programs_of(self, name, depth, config, mesh):
    return {key: (name, depth, key) for key in PROGRAMS}

  def measure(self, program):
    if len(self.calls) == self.dies_after:
      raise KeyboardInterrupt
    name, depth, key = program
    self.calls.append((str(depth), key))
    return row_of(name, depths=(depth,))['measured'][str(depth)][key]


@pytest.fixture
def compiler(monkeypatch):
  made = Compiler()
  monkeypatch.setattr(plan, 'programs_of', made.programs_of)
  monkeypatch.setattr(plan.programs, 'measure', made.measure)
  monkeypatch.setattr(plan.programs, 'devices_of', lambda topology: [])
  monkeypatch.setattr(plan, 'make_mesh', lambda devices, **axes: None)
  return made


def _run(path, names=('42M',), again=False, job=CONFIG['job']):
  config = CONFIG | {'job': job}
  plan.run(config, names, [TOPOLOGY], plan.Rows(path, job, again))


def test_a_killed_plan_goes_on_after_the_last_program(compiler, tmp_path):
  path = tmp_path / 'rows.json'
  compiler.dies_after = 3
  with pytest.raises(KeyboardInterrupt):
    _run(path)
  assert compiler.calls == ALL[:3]
  compiler.dies_after = None
  _run(path)
  assert compiler.calls == ALL
  (row,) = json.loads(path.read_text())
  assert row['measured'] == row_of('42M')['measured']


def test_what_is_known_is_not_compiled_again(compiler, tmp_path, capsys):
  path = tmp_path / 'rows.json'
  _run(path)
  first = capsys.readouterr().out
  _run(path)
  assert compiler.calls == ALL
  assert capsys.readouterr().out == first
  _run(path, again=True)
  assert compiler.calls == ALL + ALL


def test_a_row_of_another_job_is_compiled_again(compiler, tmp_path):
  path = tmp_path / 'rows.json'
  _run(path)
  _run(path, job=CONFIG['job'] | {'pm_length': 512})
  assert compiler.calls == ALL + ALL
  assert len(json.loads(path.read_text())) == 1


def test_two_compilers_do_not_share_a_row(compiler, tmp_path, monkeypatch):
  """But a row that one of them finished stays."""
  path = tmp_path / 'rows.json'
  compiler.dies_after = 3
  with pytest.raises(KeyboardInterrupt):
    _run(path)
  compiler.dies_after = None
  monkeypatch.setattr(plan, 'versions', lambda: {'jax': '9', 'libtpu': '9'})
  _run(path)
  assert compiler.calls == ALL[:3] + ALL
  monkeypatch.setattr(plan, 'versions', lambda: {'jax': '9', 'libtpu': '10'})
  _run(path)
  assert compiler.calls == ALL[:3] + ALL


def test_the_rungs_to_check_are_compiled_at_a_further_depth(compiler):
  (name, depth, keys), *_ = CONFIG['checked']
  _run(None, names=[name])
  assert compiler.calls == ALL + [(str(depth), key) for key in keys]


@pytest.mark.slow  # processes
def test_bad_input_is_one_line():
  for flags, said in (
    (('--rung=53B',), "no rung named '53B' on the ladder"),
    (('--rung=13M', '--topology=v9:2x2'), "unknown topology 'v9:2x2'"),
    (('--table', '--json=/nowhere.json'), '/nowhere.json is missing'),
    (('52B',), "unknown argument '52B'"),
  ):
    assert said in error_line(call('plan', *flags))


def test_rows_are_reported_without_a_compiler(tmp_path):
  path = tmp_path / 'rows.json'
  path.write_text(json.dumps([row_of('2.7B', 'v5p:8x8x8')]))
  done = succeeded(call('plan', '--rung=2.7B', f'--json={path}'))
  L, D, V = 24, 3072, 65_536
  count = 12 * L * D**2 + V * D + (2 * L + 1) * D
  assert done.stdout.startswith(f'2.7B ({count:,} parameters')
  assert '-25.0 GB per chip of 95.0 GB: fits' in done.stdout
  assert done.stderr == (
    'plan: starting, libraries take some seconds to load\n'
  )
