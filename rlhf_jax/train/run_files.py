"""Small files of a run directory: JSON, environment."""

import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path

import jax
import numpy as np

from rlhf_jax import digests
from rlhf_jax.train.about import RunError


def config_hash(config):
  """Twelve hex digits that change when any value of the config does."""
  text = json.dumps(config, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:12]


def commit():
  """The repository's commit, '+' appended when the tree is dirty; or ''."""
  root = Path(__file__).resolve().parents[2]
  call = lambda *args: subprocess.run(
    ['git', '-C', str(root), *args], capture_output=True, text=True, check=False
  ).stdout.strip()
  head = call('rev-parse', '--short=12', 'HEAD')
  dirty = call('status', '--porcelain', '--untracked-files=no')
  return head + ('+' if head and dirty else '')


def environment():
  """Versions, device and commit, for `env.json`."""
  device = jax.devices()[0]
  return {
    'commit': os.environ.get('RLHF_JAX_COMMIT') or commit(),
    'device': f'{jax.device_count()}x {device.device_kind}',
    'cores': len(os.sched_getaffinity(0)),
    'python': platform.python_version(),
    'jax': jax.__version__,
    'numpy': np.__version__,
  }


def write_json(path, value):
  """Writes atomically: the file is whole or absent."""
  path = Path(path)
  temporary = path.with_name(path.name + '.part')
  temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + '\n')
  os.replace(temporary, path)


def read_json(path):
  """Reads a JSON object; RunError names the file when it is broken."""
  try:
    return digests.read_json(path, dict)
  except OSError as error:
    raise RunError(f'cannot read {path}: {error}') from None
  except digests.DamagedError as error:
    raise RunError(f'cannot read {error}') from None


def note_commit(path):
  """Adds the commit of now to an env.json that names others.

  Raises:
    RunError: if the file is not what a run wrote.
  """
  env, now = read_json(path), environment()['commit']
  if not isinstance(env.get('commit'), str):
    raise RunError(
      f'{path} has no "commit": delete {Path(path).parent} and run its stage '
      'again'
    )
  if now not in env['commit'].split(', '):
    write_json(path, env | {'commit': f'{env["commit"]}, {now}'})


def require_folder(path):
  """Makes the folder of a run, if nothing is there.

  Raises:
    RunError: if what is there is no folder.
  """
  if path.is_symlink() and not path.exists():
    got = f'a link to {os.readlink(path)}, where nothing is'
  elif path.exists() and not path.is_dir():
    got = 'a file'
  else:
    path.mkdir(parents=True, exist_ok=True)
    return
  raise RunError(
    f'{path}: wanted a folder, got {got}: choose another --workdir or delete it'
  )
