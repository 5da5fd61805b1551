"""Kills aimed at checkpoints: SIGKILL while one is being written, then resume.

A resumed run has to end with the parameters, rows and tables of one that was
never killed, to the last bit.
"""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from experiments.shared import models
from rlhf_jax import digests
from scripts.attack import study
from scripts.attack.trials import value_of

SECONDS = 300  # after which a stage that was started counts as hanging
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
  """Starts a stage and kills it as the n-th checkpoint appears.

  Returns:
    Whether it died of that; a stage that was quicker ends by itself.
  """
  wanted, delay = rng.randint(1, 4), rng.random() * rng.choice((0.0, 0.02, 0.2))
  process = subprocess.Popen(
    study.command(root, name, workdir),
    cwd=study.ROOT,
    env=study.environment(root),
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  seen, until = set(), time.time() + SECONDS
  while process.poll() is None and time.time() < until:
    folder = workdir / 'checkpoints'
    names = os.listdir(folder) if folder.is_dir() else []
    seen |= {name.split('.')[0] for name in names}
    if len(seen) >= wanted:
      time.sleep(delay)
      break
    time.sleep(0.001)
  process.kill()
  return process.wait() < 0


def attack(trials, root, scratch, count, report):
  """Kills PPO and PM `count` times each.

  Args:
    trials: Trials.
    root: of the attacked study.
    scratch: folder of the killed runs.
    count: of each stage.
    report: callable(str).
  """
  for name in ('pm', 'ppo'):
    whole = Path(root) / name
    expected = value_of(result_of(whole, params_of(name, whole)))
    for number in range(count):
      if trials.has('kills', name, number):
        continue
      workdir = Path(scratch) / f'killed-{name}-{number}'
      shutil.rmtree(workdir, ignore_errors=True)
      died = killed(root, name, workdir, random.Random(f'{name} {number}'))
      trials.add(
        'kills', name, number, *_resumed(root, name, workdir, expected)
      )
      said = 'killed' if died else 'ended before'
      report(f'kills: {name} {number + 1}/{count}, {said}')
      shutil.rmtree(workdir, ignore_errors=True)


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
