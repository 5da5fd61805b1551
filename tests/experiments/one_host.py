"""A stage by its command line, in a process that notes what it did.

    python one_host.py NOTES LAST STAGE --config=... --workdir=...

NOTES is a folder for done.json: what was written below the workdir, and the
rows of each batch; and for an .npz of each of MEASURED. The process kills
itself when it asks for the rate of step LAST (-1: never).
"""

import atexit
import hashlib
import json
import os
import pathlib
import runpy
import signal
import sys

import jax
import numpy as np

from experiments.shared import devices, measuring
from rlhf_jax.train import optimiser

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
MEASURED = ('when', 'policy', 'tokens', 'prompt_length', 'total_length')
CHANGING = ('os.mkdir', 'os.rename', 'os.remove', 'os.rmdir', 'os.truncate')


def note_files(workdir, wrote):
  """Adds the path of every file and folder that Python changes there."""

  def hook(event, args):
    changes = event in CHANGING or (event == 'open' and args[2] & WRITING)
    if not changes or not isinstance(args[0], str | os.PathLike):
      return
    path = os.path.abspath(args[0])
    if path.startswith(f'{workdir}/') or path == workdir:
      wrote.append(os.path.relpath(path, workdir))

  sys.addaudithook(hook)


def note_rows(loaded):
  """Adds a digest of each row of each batch that a step is given."""
  jit_step = devices.jit_step

  def noted(*args):
    call = jit_step(*args)

    def step(*args):
      columns = [np.asarray(x) for x in jax.tree.leaves(args[-3])]
      columns = [x for x in columns if x.dtype.kind == 'i']  # not computed
      rows = zip(*columns, strict=True)
      data = [b''.join(x.tobytes() for x in row) for row in rows]
      loaded.append([hashlib.sha1(x).hexdigest() for x in data])
      return call(*args)

    return step

  devices.jit_step = noted


def note_tokens(said):
  """Adds what is measured of a policy: when, its parameters, its tokens."""
  measure = measuring.HeldOut.measure

  def noted(self, trained, iteration, row_offset=0):
    out = measure(self, trained, iteration, row_offset)
    leaves = [np.ravel(x) for x in jax.tree.leaves(trained)]
    said.append([[iteration, row_offset], np.concatenate(leaves)])
    names = ('tokens', 'prompt_length', 'total_length')
    said[-1] += [out[name] for name in names]
    return out

  measuring.HeldOut.measure = noted


def die_at(last):
  """Kills this process when it asks for the rate of a step."""
  rate_at = optimiser.learning_rate_at

  def rate_or_death(step, **options):
    if step == last:
      os.kill(os.getpid(), signal.SIGKILL)
    return rate_at(step, **options)

  optimiser.learning_rate_at = rate_or_death


def main(notes, last, stage, *arguments):
  notes, wrote, loaded, said = pathlib.Path(notes), [], [], []
  notes.mkdir(parents=True)
  [workdir] = [x for x in arguments if x.startswith('--workdir=')]
  workdir = os.path.abspath(workdir.removeprefix('--workdir='))
  note_rows(loaded)
  note_tokens(said)
  if int(last) >= 0:
    die_at(int(last))

  @atexit.register
  def keep():
    text = json.dumps({'wrote': sorted(set(wrote)), 'loaded': loaded})
    (notes / 'done.json').write_text(text)
    for name, column in zip(MEASURED, zip(*said, strict=True), strict=False):
      np.savez(notes / f'{name}.npz', *column)

  note_files(workdir, wrote)
  sys.argv = [stage, *arguments]
  runpy.run_module(f'experiments.{stage}', run_name='__main__', alter_sys=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
