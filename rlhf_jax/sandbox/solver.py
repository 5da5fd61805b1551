"""The untrusted side: a program, and calls of one of its functions.

Nothing that is secret is in this process: it has the program, and sees the
arguments of each call. What it answers is data to the other side.
"""

import sys

from rlhf_jax.sandbox import messages

LONGEST = 200  # characters of an error that are passed on


def run(job):
  """Runs `job['program']` as a script; its exit code."""
  try:
    exec(job['program'], {'__name__': '__main__'})
  except SystemExit as error:
    return error.code if isinstance(error.code, int) else 1
  except BaseException:
    import traceback

    traceback.print_exc()
    return 1
  finally:
    sys.stdout.flush()
  return 0


def solve(job, ask, answer):
  """Runs `job['program']`, then calls its `job['entry']` as asked.

  Each message on `ask` is (arguments, {name: argument}); the answer is
  ('value', what it returned) or ('error', words).

  Returns:
    0, when there are no more questions.
  """
  function, failed = None, ''
  try:
    space = {'__name__': 'program'}
    exec(job['program'], space)
    function = space[job['entry']]
  except BaseException as error:
    failed = _words(error)
  while True:
    try:
      arguments, named = messages.receive(ask)
    except EOFError:
      return 0
    if failed:
      messages.send(answer, ('error', failed))
      continue
    try:
      messages.send(answer, ('value', function(*arguments, **named)))
    except BaseException as error:
      messages.send(answer, ('error', _words(error)))


def _words(error):
  try:
    text = f'{type(error).__name__}: {error}'
  except BaseException:
    text = 'an error that cannot be printed'
  return text[:LONGEST].encode('utf-8', 'replace').decode()
