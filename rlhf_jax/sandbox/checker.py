"""The trusted side: a task's checks, the answers coming through a pipe.

The checks are the task's own code. The program that is judged runs in another
process, behind other walls, and is reached through data alone: nothing of it
is called, compared or printed here.
"""

import os

from rlhf_jax.sandbox import messages

# First letter of a result that is no pass; the nonce is hexadecimal.
FAILED = '!'
WRONG, ERROR, ENDED, UNREADABLE = 'wrong', 'error', 'ended', 'unreadable'
FAULTY = 'faulty'  # the task itself
LONGEST = 300  # characters of a result


class Raised(Exception):  # noqa: N818
  """The program raised an error; the words are its own."""


class Faulty(Exception):  # noqa: N818
  """The task is no task, whatever the program does."""


class Caller:
  """A function that has somebody else answer."""

  def __init__(self, ask, answer):
    """Asks and hears through two file descriptors."""
    self._ask, self._answer, self.calls = ask, answer, 0

  def __call__(self, *arguments, **named):
    """The value that was answered.

    Raises:
      Raised: if the answer is an error.
      EOFError: if there is nobody any more.
      NotPlain: if the answer is no data.
    """
    self.calls += 1
    try:
      messages.send(self._ask, (arguments, named))
    except BrokenPipeError:
      raise EOFError('the other side is gone') from None
    found = messages.receive(self._answer)
    if not isinstance(found, tuple) or len(found) != 2:
      raise messages.NotPlain('no answer')
    kind, value = found
    if kind != 'value':
      raise Raised(str(value))
    return value


def check(job, ask, answer, result):
  """Runs the checks of a task; writes the nonce if they hold.

  The prompt is run first, since checks may use helpers that it defines; its
  function has a docstring for a body. Then its name is the caller's.

  Args:
    job: 'prompt', 'test', 'entry', 'nonce'.
    ask: where calls are written.
    answer: where values are read.
    result: where the nonce is written, or `!KIND: WORDS`.

  Returns:
    0.
  """
  caller, space = Caller(ask, answer), {'__name__': 'checks'}
  try:
    code = _begun(job, space)
    space[job['entry']] = caller
    exec(code, space)
    space['check'](caller)
    if not caller.calls:
      raise Faulty('the checks called nothing')
    said = job['nonce']
  except BaseException as error:
    words = f'{type(error).__name__}: {error}'
    said = f'{FAILED}{_kind(error)}: {words}'[:LONGEST]
  os.write(result, said.encode('utf-8', 'replace'))
  return 0


def _begun(job, space):
  """Code of the checks, after the prompt has been run.

  Raises:
    Faulty: if one of the two is no program.
  """
  try:
    exec(job['prompt'], space)
    return compile(job['test'], 'checks', 'exec')
  except Exception as error:
    raise Faulty(f'{type(error).__name__}: {error}') from None


def _kind(error):
  """Kind of a failure; that of the checks themselves is WRONG, as published."""
  for kind, name in (
    (Faulty, FAULTY),
    (Raised, ERROR),
    (EOFError, ENDED),
    (messages.NotPlain, UNREADABLE),
  ):
    if isinstance(error, kind):
      return name
  return WRONG
