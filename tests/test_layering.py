"""The arrows of docs/architecture.md, checked on the source."""

import ast
import functools
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
OURS = ('rlhf_jax', 'experiments', 'benchmarks', 'configs', 'scripts', 'tests')
OURS += ('apps',)
LONGEST_FILE, LONGEST_FUNCTION = 350, 60
STANDARD = set(sys.stdlib_module_names)

# What each room may import besides itself.
INNER = {'losses', 'linear', 'text', 'types', 'mapping', 'digests'}
MAY_IMPORT = {
  'types': set(),
  'mapping': set(),
  'digests': set(),
  'losses': {'types'},
  'linear': set(),
  'judges': {'text'},
  'text': {'types'},
  'models': INNER,
  'data': INNER,
  'crowd': INNER | {'data'},
  'rollout': INNER,
  'train': INNER,
  'evals': INNER | {'rollout'},
  'analysis': {'digests'},
  'sandbox': set(),
  'check': INNER | {'data', 'models', 'rollout'},
}

# Modules that only these files, or the files of these folders, import.
ONLY_IN = {
  'flax': ('rlhf_jax/models/',),
  'optax': ('rlhf_jax/train/', 'experiments/'),
  'tensorflow_datasets': ('rlhf_jax/data/tfds_builder.py',),
  'orbax': ('rlhf_jax/train/checkpoints.py',),
  'matplotlib': ('rlhf_jax/analysis/figures.py',),
  'jinja2': (
    'apps/feedback/site.py',
    'rlhf_jax/analysis/page.py',
    'rlhf_jax/text/template_sandbox.py',
  ),
  'tokenizers': ('rlhf_jax/text/', 'benchmarks/peers/'),
  'safetensors': ('rlhf_jax/models/pretrained/', 'benchmarks/peers/'),
  'gguf': ('rlhf_jax/text/', 'rlhf_jax/models/pretrained/'),
  'lm_eval': ('experiments/harness/',),
  'ml_collections': ('configs/', 'experiments/'),
  'sentencepiece': ('rlhf_jax/text/tokenizer.py',),
  'grain': ('rlhf_jax/data/pipeline.py',),
  'tensorboardX': ('rlhf_jax/train/loggers.py',),
  'wandb': ('rlhf_jax/train/loggers.py',),
  'mlflow': ('rlhf_jax/train/loggers.py',),
  'submitit': ('experiments/studies/submit.py',),
  'rich': ('experiments/studies/board.py',),
}

# Everything a room may import that is not ours and not in the standard library.
LIBRARIES = {
  'rlhf_jax/losses/': {'jax', 'chex'},
  'rlhf_jax/linear/': {'numpy', 'scipy'},
  'rlhf_jax/judges/': {'numpy'},
  'rlhf_jax/sandbox/': set(),
  'rlhf_jax/analysis/': {'numpy', 'scipy', 'pandas', 'matplotlib', 'jinja2'},
  'configs/': {'ml_collections'},
  'apps/': {'absl', 'jax', 'numpy', 'pandas', 'jinja2', 'starlette', 'uvicorn'},
}


def imports_of(source, package=''):
  """Every module that a source text imports, `from a import b` as a.b."""
  found = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      above = package.split('.')[: len(package.split('.')) - node.level + 1]
      parts = [*above, node.module] if node.level else [node.module]
      base = '.'.join(part for part in parts if part)
      found |= {f'{base}.{alias.name}' for alias in node.names}
  return found


def rooms_below(path):
  """Rooms of experiments/ that one of its files imports; never a script."""
  room, _, file = path.partition('/')
  if not file:
    return {'shared', 'studies', 'capacity', 'harness'}
  return {'shared'} | {room}


def below_config(path):
  """What a config may import: shared files, and a study's its presets."""
  own = ('configs/reproduce.py', 'configs/presets/')
  files = (ROOT / 'configs/presets').glob('*.py')
  presets = {f'configs.presets.{file.stem}' for file in files}
  return {'configs.blocks', 'configs.stages'} | (
    presets if path.startswith(own) else set()
  )


def violations(path, source):
  """Sentences that say which imports of a file break which rule."""
  package = '.'.join(pathlib.PurePosixPath(path).parent.parts)
  modules = imports_of(source, package)
  top, _, rest = path.partition('/')
  wrong = []
  if path == 'rlhf_jax/__init__.py' and modules:
    wrong.append(f'{path} imports something')
  for module in sorted(modules):
    first, *others = module.split('.')
    for name, places in ONLY_IN.items():
      if first == name and not path.startswith(places):
        wrong.append(f'{path} imports {name}, which is for {places} only')
    for folder, libraries in LIBRARIES.items():
      if path.startswith(folder) and first not in OURS:
        if first not in STANDARD | libraries:
          wrong.append(f'{path} imports {first}')
    if first not in OURS:
      continue
    if top == 'rlhf_jax' and rest != '__init__.py':
      room = rest.split('/')[0].removesuffix('.py')
      target = others[0] if others else ''
      allowed = MAY_IMPORT.get(room, set()) | {room}
      if first != 'rlhf_jax' or target not in allowed:
        wrong.append(f'{path} imports {module}')
    elif top == 'configs' and module not in below_config(path):
      wrong.append(f'{path} imports {module}')
    elif top == 'apps':
      if first not in ('rlhf_jax', top) and module.split('.')[:2] != [
        'experiments',
        'shared',
      ]:
        wrong.append(f'{path} imports {module}')
    elif top in ('experiments', 'benchmarks'):
      if first not in ('rlhf_jax', top):
        wrong.append(f'{path} imports {module}')
      elif first == 'experiments' and others[0] not in rooms_below(rest):
        wrong.append(f'{path} imports the script or room {module}')
  return wrong


FILES = sorted(
  path.relative_to(ROOT).as_posix()
  for top in ('rlhf_jax', 'experiments', 'benchmarks', 'configs', 'apps')
  for path in (ROOT / top).rglob('*.py')
)


@pytest.mark.parametrize('path', FILES)
def test_imports_point_down_only(path):
  assert violations(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
  ('path', 'source'),
  [
    ('rlhf_jax/__init__.py', 'import json'),
    ('rlhf_jax/types.py', 'from rlhf_jax.losses import kl'),
    ('rlhf_jax/losses/kl.py', 'from rlhf_jax.models import build'),
    ('rlhf_jax/losses/kl.py', 'from rlhf_jax import train'),
    ('rlhf_jax/losses/kl.py', 'import numpy as np'),
    ('rlhf_jax/losses/kl.py', 'from ..models import build'),
    ('rlhf_jax/rollout/generate.py', 'import rlhf_jax.models.build'),
    ('rlhf_jax/train/ppo.py', 'def f():\n  from rlhf_jax.models import heads'),
    ('rlhf_jax/train/ppo.py', 'from orbax import checkpoint'),
    ('rlhf_jax/rollout/generate.py', 'from rlhf_jax.evals import policy'),
    ('rlhf_jax/data/pairs.py', 'from rlhf_jax.crowd import gold'),
    ('rlhf_jax/models/build.py', 'import experiments.programs'),
    ('rlhf_jax/models/build.py', 'import optax'),
    ('rlhf_jax/train/steps.py', 'import flax.linen as nn'),
    ('rlhf_jax/analysis/fits.py', 'import jax'),
    ('rlhf_jax/analysis/fits.py', 'from rlhf_jax.types import Batch'),
    ('rlhf_jax/analysis/fits.py', 'import matplotlib.pyplot as plt'),
    ('configs/pm.py', 'from rlhf_jax.models import ladder'),
    ('configs/pm.py', 'from configs import ppo'),
    ('configs/pm.py', 'from configs.presets import whole'),
    ('configs/blocks.py', 'from rlhf_jax import types'),
    ('configs/pm.py', 'import numpy'),
    ('experiments/sweep.py', 'from tests import conftest'),
    ('experiments/sweep.py', 'from experiments import train_pm'),
    ('experiments/shared/files.py', 'from experiments import train_pm'),
    ('experiments/shared/files.py', 'from experiments.studies import job'),
    ('experiments/studies/job.py', 'from experiments.capacity import gpu'),
    ('rlhf_jax/train/run.py', 'import ml_collections'),
    ('rlhf_jax/data/said.py', 'from apps.feedback import database'),
    ('experiments/make_tranche.py', 'from apps.feedback import database'),
    ('experiments/shared/queued.py', 'from apps.feedback import database'),
    ('configs/online.py', 'from apps.feedback import plan'),
    ('apps/feedback/app.py', 'from experiments import train_pm'),
    ('apps/feedback/app.py', 'from experiments.studies import job'),
    ('apps/feedback/app.py', 'import flask'),
  ],
)
def test_a_forbidden_import_is_seen(path, source):
  assert len(violations(path, source)) >= 1


@pytest.mark.parametrize(
  ('path', 'source'),
  [
    ('rlhf_jax/evals/policy.py', 'from rlhf_jax.rollout import generate'),
    ('rlhf_jax/crowd/workers.py', 'from rlhf_jax.data.records import hash'),
    ('rlhf_jax/losses/kl.py', 'from .masked import mean'),
    ('experiments/analyse.py', 'from rlhf_jax.analysis import claims'),
    ('experiments/sweep.py', 'from experiments.studies import launch'),
    ('experiments/plan.py', 'from experiments.capacity import verdict'),
    ('experiments/sweep.py', 'from experiments.studies import pool'),
    ('experiments/plan.py', 'from experiments.capacity import verdict'),
    ('apps/feedback/app.py', 'from apps.feedback import plan'),
    ('apps/feedback/writers.py', 'from experiments.shared import models'),
    ('apps/feedback/writers.py', 'from rlhf_jax.rollout import stream'),
    ('configs/pm.py', 'import ml_collections'),
    ('configs/pm.py', 'from configs import blocks'),
    ('configs/presets/real.py', 'from configs.presets import whole'),
    ('configs/reproduce.py', 'from configs.presets import whole'),
  ],
)
def test_an_allowed_import_is_allowed(path, source):
  assert violations(path, source) == []


def test_every_room_has_its_arrows():
  rooms = {
    path.split('/')[1].removesuffix('.py')
    for path in FILES
    if path.startswith('rlhf_jax/')
  }
  assert rooms - {'__init__'} == set(MAY_IMPORT)


TOPS = ('rlhf_jax/', 'experiments/', 'apps/')
MEASURED = [f for f in FILES if f.startswith(TOPS)]


@pytest.mark.parametrize('path', MEASURED)
def test_files_and_functions_are_short(path):
  source = (ROOT / path).read_text()
  assert len(source.splitlines()) <= LONGEST_FILE
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.FunctionDef):
      lines = node.end_lineno - node.lineno + 1
      assert lines <= LONGEST_FUNCTION, f'{node.name} has {lines} lines'


def floors_of(files):
  """Longest chain of imports within experiments/, by file."""
  modules = {path.removesuffix('.py').replace('/', '.'): path for path in files}

  def below(path):
    found = imports_of((ROOT / path).read_text())
    names = found | {name.rpartition('.')[0] for name in found}
    return [modules[name] for name in names & set(modules)]

  @functools.cache
  def floor(path):
    return 1 + max(map(floor, below(path)), default=0)

  return {path: floor(path) for path in files}


def test_experiments_has_three_floors_of_imports():
  files = [path for path in FILES if path.startswith('experiments/')]
  assert max(floors_of(files).values()) == 3
