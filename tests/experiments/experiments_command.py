"""Runs the stages as a user does: in a process of their own."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
CACHE = os.environ.get('JAX_COMPILATION_CACHE_DIR', str(ROOT / '.jax_cache'))
ENVIRONMENT = os.environ | {'RLHF_JAX_CACHE': CACHE}


def start(module, *arguments):
  """Starts `python -m experiments.MODULE ARGUMENTS` in the repository."""
  return subprocess.Popen(
    [sys.executable, '-m', f'experiments.{module}', *map(str, arguments)],
    cwd=ROOT,
    env=ENVIRONMENT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(process):
  """Waits; returns the CompletedProcess."""
  out, err = process.communicate(timeout=900)
  return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def call(module, *arguments):
  """Runs a stage to its end."""
  return finish(start(module, *arguments))


def succeeded(done):
  """The finished process, once it is known to have succeeded."""
  assert done.returncode == 0, done.stderr[-3000:]
  return done


def error_line(done):
  """The one line in which a failed process says what is wrong."""
  assert done.returncode not in (0, None)
  assert 'Traceback' not in done.stderr, done.stderr[-3000:]
  lines = [x for x in done.stderr.splitlines() if x.startswith('error: ')]
  assert len(lines) == 1, done.stderr[-3000:]
  assert done.stderr.splitlines()[-1] == lines[0]
  return lines[0]
