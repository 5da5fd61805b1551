"""Starts a stage as one process, or as several that are one job."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 600


def free_port():
  with socket.socket() as sock:
    sock.bind(('127.0.0.1', 0))
    return sock.getsockname()[1]


def flags_of(config, plain, prefix='--config'):
  """Flags that make one config of another."""
  for key, value in config.items():
    if isinstance(value, dict):
      yield from flags_of(value, plain[key], f'{prefix}.{key}')
    elif value != plain[key]:
      yield f'{prefix}.{key}={value}'


def start(notes, stage, words, count=1, last=None):
  """Processes of a stage; NOTES/0, NOTES/1, ... get what each did.

  Args:
    notes: folder.
    stage: 'train_lm', ...
    words: its flags.
    count: of processes.
    last: {process: step at which it kills itself}.
  """
  path = os.pathsep.join([str(ROOT), str(HERE)])
  job = [f'--distributed=127.0.0.1:{free_port()}', f'--num_processes={count}']
  found = []
  for i in range(count):
    own = [*job, f'--process_id={i}'] if count > 1 else []
    at = (last or {}).get(i, -1)
    command = [HERE / 'one_host.py', notes / str(i), str(at), stage]
    found.append(
      subprocess.Popen(
        [sys.executable, *command, *words, *own],
        cwd=ROOT,
        env=os.environ | {'PYTHONPATH': path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
    )
  return found


def ended(processes):
  """[(exit code, stdout, stderr)] of them all."""
  try:
    said = [process.communicate(timeout=SECONDS) for process in processes]
  finally:
    for process in processes:
      process.kill()
  return [(p.returncode, *x) for p, x in zip(processes, said, strict=True)]


def run(notes, stage, words, count=1):
  """Runs a stage to its end; what each process noted."""
  for code, _, err in ended(start(notes, stage, words, count)):
    assert code == 0, err[-3000:]
  return [noted(notes / str(i)) for i in range(count)]


def noted(folder):
  """What a process noted: 'wrote', 'loaded', and 'tokens' of the policies."""
  found = json.loads((folder / 'done.json').read_text())
  for file in folder.glob('*.npz'):
    with np.load(file) as data:
      count = len(data.files)
      found[file.stem] = [data[f'arr_{i}'] for i in range(count)]
  return found


def error_lines(text):
  return re.findall('^error: .*$', text, flags=re.M)
