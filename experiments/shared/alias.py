"""Old names of stages, which print the new command and run it."""

import runpy
import shlex
import sys

KEYS = {'--config.model': '--config.base'}  # renamed since


def run(old, new, preset):
  """Runs the stage `new` in place of `old`, with its preset if none is named.

  Args:
    old: the name that was called, as in 'tune_pm'.
    new: the stage that does the job now.
    preset: default of `--config`.
  """
  asked = [_renamed(argument) for argument in sys.argv[1:]]
  if not any(x.startswith('--config=') or x == '--config' for x in asked):
    asked.insert(0, f'--config={preset}')
  command = ['python', '-m', f'experiments.{new}', *asked]
  print(f'{old} is now {new}: {shlex.join(command)}', file=sys.stderr)
  sys.argv[1:] = asked
  runpy.run_module(f'experiments.{new}', run_name='__main__', alter_sys=True)


def _renamed(argument):
  key, equals, value = argument.partition('=')
  return KEYS.get(key, key) + equals + value
