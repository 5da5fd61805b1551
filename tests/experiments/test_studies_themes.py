"""Themes, their jobs, and a new one through planner, launchers and report."""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import types

import fake_slurm
import pytest
from experiments_command import ROOT, call, error_line

from experiments.studies import registry
from experiments.studies.job import Job
from rlhf_jax.analysis.claims import registry as claims
from tests.test_configs import _config

HERE = pathlib.Path(__file__).parent
TENSION = {
  f'pm/single-42K-{subset}-all-s{seed}'
  for subset in ('helpful', 'harmless')
  for seed in range(120, 125)
}
ROBUST = {
  *(f'pm/robust-197K-mix-{half}-s120' for half in 'ab'),
  *(f'pm/value-13K-mix-{half}-s120' for half in 'ab'),
  *(f'rl/robust-13K-{half}-s120' for half in 'ab'),
}


def names(themes, preset='micro'):
  config = _config('reproduce', preset) | {'themes': themes}
  jobs = registry.all_jobs(config, '/r')
  for job in jobs:
    assert {need.name for need in job.needs} <= {job.name for job in jobs}
  return {job.name for job in jobs}


def test_a_theme_comes_with_what_it_needs_and_nothing_else():
  start = {'text', 'lm/197K', 'comparisons'}
  assert names(['tension']) == start | {'lm/42K'} | TENSION
  found = {name for name in names(['robustness']) if '-s12' not in name}
  assert found == start | {'lm/13K'}
  assert {x for x in names(['robustness']) if x.endswith('s120')} == ROBUST


def test_themes_share_their_jobs():
  """The linear runs are those of two themes; the test PM comes with them."""
  both, one = names(['ppo', 'sqrt_kl']), names(['sqrt_kl'])
  assert both - one == {f'rl/inert-13K-a-s{s}' for s in (120, 121, 122)}
  assert (
    'pm/rl-197K-mix-b-s120' in one and 'pm/scaling-3K-mix-a-s120' not in one
  )


def test_the_themes_are_the_modules_that_have_jobs():
  """In the order of the claims, which hold the one list; no name is left."""
  folder = pathlib.Path(registry.__file__).parent
  modules = {path.stem for path in folder.glob('*.py')} - {'__init__'}
  have = {
    name
    for name in modules - {'registry'}
    if {'jobs', 'evaluations'}
    & vars(importlib.import_module(f'experiments.studies.{name}')).keys()
  }
  assert set(registry.THEMES) == have and len(have) == 7
  claimed = [name for name in claims.THEMES if name in have]
  assert list(registry.THEMES) == [*claimed, 'hhh']


def test_a_flag_names_themes_with_commas_between():
  assert registry.names_of(['scaling,robustness', 'ppo']) == [
    'scaling',
    'robustness',
    'ppo',
  ]
  with pytest.raises(
    ValueError, match='no themes are chosen: some of scaling,'
  ):
    registry.names_of([''])


@pytest.mark.parametrize('preset', ['micro', 'smoke', 'null', 'hh', 'gpu'])
def test_a_preset_of_a_study_runs_all_themes(preset):
  real_data = {'hhh'}
  themes = _config('reproduce', preset)['themes']
  assert set(themes) == set(registry.THEMES) - real_data


@pytest.mark.slow  # processes
def test_an_unknown_theme_is_one_line_and_leaves_nothing(tmp_path):
  done = call(
    'reproduce',
    '--config=configs/reproduce.py:smoke',
    '--config.themes=scaling,tensoin',
    f'--workdir={tmp_path}/x',
  )
  line = error_line(done)
  assert line.startswith("error: no theme 'tensoin': one of scaling, calibrat")
  assert not list(tmp_path.iterdir())


def test_two_themes_must_agree_on_a_job(monkeypatch):
  def theme(rate):
    job = Job('pm/x', 'm', {'rate': rate})
    return types.SimpleNamespace(jobs=lambda config, root, seed: [job])

  monkeypatch.setattr(registry, 'theme_of', theme)
  config = {'themes': ['1', '1'], 'seeds': [0]}
  assert len(registry.all_jobs(config, '/r')) == 1
  with pytest.raises(ValueError, match='called pm/x: they differ in rate'):
    registry.all_jobs(config | {'themes': ['1', '2']}, '/r')


THEME = """
from experiments.studies.job import Job


def jobs(config, root, seed):
  first = Job(f'fake/a-s{seed}', 'fake_stage', {'seed': seed, 'reads': ''})
  second = {'seed': seed, 'reads': f'{root}/fake/a-s{seed}'}
  return [Job(f'fake/b-s{seed}', 'fake_stage', second, (first,))]
"""
STAGE = """
from experiments.shared.files import write_csv
from rlhf_jax.train.run import Run

ROW = {'role': 'lm', 'size': '3K', 'n_params': 1, 'half': 'all'}


def run(config, workdir):
  with Run(workdir, config, ROW | {'seed': config['seed']}) as run_:
    if not run_.done:
      line = {'tokens': 1, 'nats_per_token': 1.0, 'gold': 0.5}
      write_csv(run_.path / 'lm.csv', [line])
      run_.finish(read=config['reads'])
"""
START = """
import sys
from experiments import studies
from experiments.studies import registry
studies.__path__.append({folder!r})
registry.THEMES += ('fake',)
from experiments import reproduce
reproduce.main()
"""


@pytest.fixture
def reproduce(tmp_path):
  """Starts `reproduce` with one theme more, whose files are in a folder."""
  new = tmp_path / 'new'
  new.mkdir()
  (new / 'fake.py').write_text(THEME)
  (new / 'fake_stage.py').write_text(STAGE)
  tools = fake_slurm.install(tmp_path / 'slurm')
  path = os.pathsep.join([str(ROOT), str(new)])

  def start(*flags):
    return subprocess.run(
      [
        sys.executable,
        '-c',
        START.format(folder=str(new)),
        '--config=configs/reproduce.py:smoke',
        '--config.themes=fake',
        f'--workdir={tmp_path}/study',
        '--poll=0.1',
        *flags,
      ],
      cwd=ROOT,
      env=os.environ | tools | {'PYTHONPATH': path},
      capture_output=True,
      text=True,
      check=False,
    )

  return start


# SLURM's jobs are a process each.
@pytest.mark.parametrize(
  'on', ['pool', pytest.param('slurm', marks=pytest.mark.slow)]
)
def test_a_new_theme_runs_to_its_report(reproduce, tmp_path, on):
  """Listed, run on a launcher, analysed; the second time there is no work."""
  root = tmp_path / 'study'
  if on == 'pool':
    listed = reproduce('--on=list')
    assert listed.returncode == 0, listed.stderr[-2000:]
    assert listed.stdout.endswith('0 of 4 jobs are done\n')
    assert not (root / 'report').exists()
  done = reproduce(f'--on={on}')
  assert done.returncode == 0, done.stderr[-2000:]
  assert '[4/4] fake/b-s' in done.stderr and '65 not run' in done.stdout
  assert (root / 'report' / 'index.html').exists()
  jobs = json.loads((root / 'ledger.json').read_text())['jobs']
  assert set(jobs) == {f'fake/{x}-s{seed}' for x in 'ab' for seed in (0, 1)}
  read = json.loads((root / 'fake' / 'b-s1' / 'done.json').read_text())['read']
  assert read == f'{root}/fake/a-s1'
  before = (root / 'ledger.json').read_text()
  again = reproduce('--on=list')
  assert '4 of 4 jobs are done' in again.stdout
  assert f'report: {root}/report/index.html' in again.stdout
  assert (root / 'ledger.json').read_text() == before
