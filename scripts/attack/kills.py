"""Kills aimed at checkpoints: SIGKILL while one is being written, then resume.

A run is killed a few times in turn and then ends by itself: with the
parameters, rows and tables of one that was never killed, to the last bit. If it
does not, each of its kills counts as such.
"""

import os
import random
import shutil
import time
from pathlib import Path

from experiments.shared import models
from rlhf_jax import digests
from scripts.attack import study
from scripts.attack.trials import value_of

SECONDS = 300  # after which a stage that was started counts as hanging
KILLS = 3  # of one run
COMPARED = ('metrics.jsonl', '*.csv', '*.csv.gz', 'samples.json')


def params_of(name, workdir):
  """What a run has trained; its files differ from run to run."""
  if name == 'pm':
    return models.open_scorer(workdir).trained
  return models.open_run(workdir).params


def result_of(workdir, params):
  """Everything that a finished run hands on; its clock apart."""
  paths = [p for name in COMPARED for p in sorted(Path(workdir).glob(name))]
  found = {path.name: digests.of_file(path) for path in paths}
  found['params'] = value_of(params)
  done = digests.read_done(workdir)
  clock = ('seconds', 'digests')
  return found | {k: v for k, v in done.items() if k not in clock}


def killed(root, name, workdir, rng):
  """Starts a stage and kills it as its next checkpoint, or one later, appears.

  Returns:
    Whether it died of that; a stage that was quicker ends by itself.
  """
  wanted = rng.choice((1, 1, 2))
  delay = rng.random() * rng.choice((0.0, 0.02, 0.2))
  seen = {name for name in _checkpoints(workdir) if '.' not in name}
  wanted += len(seen)
  process = study.start(root, name, workdir, f'{workdir}.log')
  until = time.time() + SECONDS
  while process.is_alive() and time.time() < until:
    seen |= {name.split('.')[0] for name in _checkpoints(workdir)}
    if len(seen) >= wanted:
      time.sleep(delay)
      break
    time.sleep(0.001)
  process.kill()
  process.join()
  return process.exitcode < 0


def _checkpoints(workdir):
  """Names of the checkpoints; half-written ones have a dot."""
  folder = workdir / 'checkpoints'
  return os.listdir(folder) if folder.is_dir() else []


def attack(trials, root, scratch, count, report):
  """Kills PPO and PM `count` times each.

  Args:
    trials: Trials.
    root: of the attacked study.
    scratch: folder of the killed runs.
    count: of each stage.
    report: callable(str).

  Raises:
    RuntimeError: if a stage ends before it can be killed, many times.
  """
  for name in ('pm', 'ppo'):
    left = [n for n in range(count) if not trials.has('kills', name, n)]
    if not left:
      continue
    whole = Path(root) / name
    expected = value_of(result_of(whole, params_of(name, whole)))
    for attempt in range(2 * count):
      workdir = Path(scratch) / f'killed-{name}-{left[0]}-{attempt}'
      rng, died = random.Random(f'{name} {left[0]} {attempt}'), 0
      while died < min(KILLS, len(left)) and killed(root, name, workdir, rng):
        died += 1
      found = _resumed(root, name, workdir, expected) if died else None
      for number in left[:died]:
        trials.add('kills', name, number, *found)
      left = left[died:]
      report(f'kills: {name} {count - len(left)}/{count}')
      shutil.rmtree(workdir, ignore_errors=True)
      if not left:
        break
    else:
      raise RuntimeError(f'{name} is too quick to be killed')


def _resumed(root, name, workdir, expected):
  """(outcome, detail) of the run that goes on."""
  try:
    study.run(root, name, workdir)
  except RuntimeError as error:
    lines = str(error).splitlines()
    named = len(lines) == 1 and str(workdir) in lines[0]
    return ('named' if named else 'unclear'), ' '.join(lines)[-300:]
  found = result_of(workdir, params_of(name, workdir))
  return ('same', '') if value_of(found) == expected else ('silent', str(found))
