"""A study so small that it can be attacked a thousand times.

Each stage of it is a command, with the settings that follow, in a folder of its
own; `python -m scripts.attack` makes it first.
"""

import contextlib
import importlib
import multiprocessing
import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CUT = {'max_prompt': 32, 'max_reply': 8}


def settings(root):
  """{name: (stage, config file, {key: value})}, in the order of their needs."""
  text = {'dialogues': 200, 'plain_texts': 5, 'vocab_size': 320}
  own = {'base': f'{root}/lm', 'size': '3K'}
  own |= {'comparisons_dir': f'{root}/comparisons'}
  networks = {f'{k}_pm_dir': f'{root}/pm' for k in ('train', 'test', 'value')}
  return {
    'text': ('make_text', 'text', text | CUT | {'heldout_dialogues': 20}),
    'lm': (
      'train_lm',
      'lm',
      CUT
      | {'text_dir': f'{root}/text', 'size': '3K', 'samples': 16}
      | {'steps': 6, 'batch_size': 16, 'log_every': 1, 'checkpoint_every': 2},
    ),
    'comparisons': (
      'make_comparisons',
      'comparisons',
      CUT
      | {'text_dir': f'{root}/text', 'lm_dir': f'{root}/lm', 'lm_size': '3K'}
      | {'pairs': 400, 'sample_batch': 64},
    ),
    'pm': (
      'train_pm',
      'pm',
      own
      | {'pairs': 96, 'batch_size': 8, 'microbatches': 2, 'curve_points': 2}
      | {'curve_eval_pairs': 16, 'eval_batch': 16, 'final_eval_pairs': 16}
      | {'log_every': 1, 'checkpoint_every': 2},
    ),
    'ppo': (
      'train_ppo',
      'ppo',
      own
      | CUT
      | networks
      | {'pm_size': '3K', 'iterations': 8, 'batch_size': 16}
      | {'minibatch_size': 8, 'eval_prompts': 8, 'eval_batch': 8}
      | {'dense_iterations': 8, 'kl_coef': 0.1, 'checkpoint_every': 2},
    ),
  }


def config_of(root, name):
  """The config of a stage, as its command has it."""
  _, file, changes = settings(root)[name]
  made = runpy.run_path(str(ROOT / 'configs' / f'{file}.py'))
  config = made['get_config']('smoke')
  config.update(changes)
  return config.to_dict()


def stage_of(root, name):
  """The module of a stage."""
  return importlib.import_module(f'experiments.{settings(root)[name][0]}')


def words(root, name, workdir):
  """The words of a stage's command, its module first."""
  stage, file, changes = settings(root)[name]
  found = [f'experiments.{stage}', f'--config=configs/{file}.py:smoke']
  found += [f'--workdir={workdir}']
  return found + [f'--config.{key}={value}' for key, value in changes.items()]


def start(root, name, workdir, log):
  """A process of its own in which a stage runs as its command would.

  It is forked from one that has read the stages' modules and done nothing else,
  since a kill costs little and those cost seconds. One compilation cache serves
  all of them.

  Args:
    root: of the study.
    name: of the stage.
    workdir: of the run.
    log: file for what it prints.

  Returns:
    multiprocessing.Process, started.
  """
  cache = os.environ.get('JAX_COMPILATION_CACHE_DIR', f'{root}/jax_cache')
  os.environ['JAX_COMPILATION_CACHE_DIR'] = cache
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.2'
  context = multiprocessing.get_context('forkserver')
  stages = {f'experiments.{stage}' for stage, _, _ in settings(root).values()}
  context.set_forkserver_preload(sorted(stages))
  process = context.Process(
    target=_as_command, args=(words(root, name, workdir), str(log))
  )
  process.start()
  return process


def _as_command(found, log):
  """Runs a module as `python -m MODULE WORD ...` does, in this process."""
  to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
  for stream in (1, 2):
    os.dup2(to, stream)
  os.chdir(ROOT)
  sys.argv = found
  runpy.run_module(found[0], run_name='__main__', alter_sys=True)


def make(root, report):
  """Runs the stages that are not done.

  Raises:
    RuntimeError: with what a stage says, if it fails.
  """
  for name in settings(root):
    if (Path(root) / name / 'done.json').exists():
      continue
    report(f'{name}: making what is attacked')
    run(root, name, Path(root) / name)


def run(root, name, workdir):
  """Runs a stage to its end.

  Raises:
    RuntimeError: with what it says, if it fails.
  """
  workdir = Path(workdir)
  workdir.parent.mkdir(parents=True, exist_ok=True)
  log = workdir.with_name(f'{workdir.name}.log')
  process = start(root, name, workdir, log)
  process.join()
  if process.exitcode:
    said = log.read_text(errors='replace')
    raise RuntimeError(f'{name} ended with {process.exitcode}: {said}')
  with contextlib.suppress(FileNotFoundError):
    log.unlink()
