"""Programs of docs/ run as they stand, and do what the page says of them."""

import importlib
import pathlib
import re
import sys

import ml_collections
import pandas as pd
import pytest

from benchmarks.agreement import settings
from experiments import studies as job_modules
from experiments.studies import registry as job_registry
from rlhf_jax.analysis import claims as claim_modules
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims import registry as claim_registry
from rlhf_jax.types import PPOHyper
from tests.analysis import tables_fixture
from tests.test_configs import _config

ROOT = pathlib.Path(__file__).resolve().parents[2]
THEME = 'second_pass'


def programs(page):
  """The Python programs of a page."""
  text = (ROOT / 'docs' / page).read_text()
  return re.findall(r'```python\n(.*?)```', text, flags=re.S)


def test_a_claim_is_measured_before_it_is_registered(capsys, monkeypatch):
  monkeypatch.chdir(ROOT)
  [program] = programs('add-a-claim.md')
  names = {}
  exec(compile(program, 'docs/add-a-claim.md', 'exec'), names)
  row = names['row']
  assert row['seeds'] == row['seeds_wanted'] == 8
  assert row['verdict'] == 'fail'
  assert set(row['measured']) == {
    f'length_change_{size}' for size in ('13K', '42K', '197K')
  }
  assert capsys.readouterr().out.startswith('fail ')


@pytest.mark.slow  # compiles PPO
def test_a_reward_in_jax_is_learned_by_the_smallest_rung(capsys):
  [program] = programs('own-reward.md')
  exec(compile(program, 'docs/own-reward.md', 'exec'), {})
  distance = [float(x) for x in capsys.readouterr().out.split()]
  assert len(distance) == 30
  assert distance[0] > 3 and sum(distance[-5:]) / 5 < 1


def test_a_program_for_users_of_trl_s_ppo_learns(capsys):
  """It names every parameter that the page's table has for it."""
  [program] = programs('from-trl-ppo.md')
  exec(compile(program, 'docs/from-trl-ppo.md', 'exec'), {})
  score = [float(x) for x in capsys.readouterr().out.split()]
  assert len(score) == 40
  assert score[0] < 1 and sum(score[-5:]) / 5 > 2


def test_the_page_for_users_of_trl_has_every_setting_of_the_comparison():
  """Names of TRL that benchmarks/agreement sets, and names of ours."""
  text = (ROOT / 'docs' / 'from-trl-ppo.md').read_text()
  for _, _, theirs, _ in settings.NAMES:
    if ' ' not in theirs and theirs != 'warmup_steps':
      assert f'`{theirs}`' in text, theirs
  for name in (*PPOHyper._fields, 'passes', 'minibatch_size', 'microbatches'):
    if name != 'mixed_coef':
      assert name in text, name


@pytest.fixture
def theme(tmp_path, monkeypatch):
  """The theme of docs/add-a-theme.md, its files in packages of the house.

  Yields its chapter, the module of its settings.
  """
  runs, claims, chapter = programs('add-a-theme.md')
  for name, package, text in (
    ('studies', job_modules, runs),
    ('claims', claim_modules, claims),
  ):
    folder = tmp_path / name
    folder.mkdir()
    (folder / f'{THEME}.py').write_text(text)
    monkeypatch.setattr(package, '__path__', [*package.__path__, str(folder)])
  themes = (*claim_registry.THEMES, THEME)
  monkeypatch.setattr(claim_registry, 'THEMES', themes)
  monkeypatch.setattr(job_registry, 'THEMES', (*job_registry.THEMES, THEME))
  names = {}
  exec(compile(chapter, 'docs/add-a-theme.md', 'exec'), names)
  importlib.invalidate_caches()
  yield names
  for package in (job_modules, claim_modules):
    sys.modules.pop(f'{package.__name__}.{THEME}', None)
    vars(package).pop(THEME, None)


def test_a_theme_of_three_files_is_planned_with_what_it_needs(theme):
  config = ml_collections.ConfigDict(_config('reproduce', 'micro'))
  config.update(theme['sections'](config) | {'themes': (THEME,)})
  plain = config.to_dict() | {'seeds': [200]}
  jobs = {job.name: job for job in job_registry.all_jobs(plain, '/r')}
  assert set(jobs) == {
    'text',
    'lm/197K',
    'comparisons',
    'pm/scaling-197K-mix-a-s200',
    'pm/twice-197K-mix-a-s200',
  }
  assert jobs['pm/twice-197K-mix-a-s200'].config['epochs'] == 2
  theme['small'](config)
  assert config.second_pass.size == '3K'


def test_the_claim_of_the_theme_is_judged_beside_all_others(theme):
  """Two passes have .01, .02, ... more than one: 2 to 6 % of five seeds."""
  frames = []
  for seed in range(5):
    for role, gain in (('scaling', 0.0), ('twice', 0.01 * (seed + 2))):
      row = tables_fixture._run(role, '42K', seed) | {'train_subset': 'mix'}
      row |= {'schedule': 'constant', 'eval_subset': 'mix', 'n_eval': 500}
      accuracy = 0.6 + gain
      row |= {'accuracy': accuracy, 'expected_accuracy': accuracy}
      frames += [row | {'pairs': 64, 'accuracy': 0.5}, row | {'pairs': 128}]
  tables = {'pm_curve': pd.DataFrame(frames)}
  registry = claim_registry.load()
  [row] = [r for r in judging.judge(tables, {}, registry) if r['id'] == 901]
  assert row['verdict'] == 'pass' and row['seeds'] == 5
  assert row['measured']['gain'] == pytest.approx(0.04)
