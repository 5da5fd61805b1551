"""A judgement of an untrusted function by checks: two boxes and a nonce.

    checker   has the checks and the nonce; runs no line of the program
    solver    has the program; sees the arguments of each call, and no more

They share two pipes, through which data go (`messages`). A pass is the nonce,
a fresh random number that the checker writes to us after the checks: no exit
code, no print of the program, no object with methods of its own can stand for
it, and the solver's box does not hold it.
"""

import os
import secrets
import time
from typing import NamedTuple

from rlhf_jax.sandbox import box, checker
from rlhf_jax.sandbox.limits import BoxLimits

PASSED, TIME, OUTPUT = 'passed', 'time', 'output'
OUTCOMES = (
  PASSED,
  checker.WRONG,
  checker.ERROR,
  checker.ENDED,
  checker.UNREADABLE,
  TIME,
  OUTPUT,
)
_RESULT_BYTES = 1024
_CPU_SIGNALS = (9, 24)  # kill at the limit of processor time, or the warning


class Verdict(NamedTuple):
  """A verdict on a program.

  Attributes:
    outcome: of OUTCOMES: PASSED, or why not: a check did not hold, the program
      raised, ended early, answered with what is no data, took too long, wrote
      too much.
    words: more about it, in part the program's own words.
    seconds: of the clock, both boxes.
  """

  outcome: str
  words: str
  seconds: float

  @property
  def passed(self):
    """Whether the nonce came."""
    return self.outcome == PASSED


def judge(program, prompt, test, entry, limits: BoxLimits | None = None):
  """Judges a program by the checks of a task.

  Args:
    program: text; untrusted.
    prompt: the task's own text, which defines helpers and, with a docstring
      for a body, the function.
    test: text that defines check(candidate).
    entry: name of the function.
    limits: of each of the two boxes.

  Returns:
    Verdict.

  Raises:
    SandboxError: if the kernel refuses a box.
    ValueError: if prompt or test are no programs, or the checks call nothing.
  """
  limits, begun = limits or BoxLimits(), time.monotonic()
  nonce = secrets.token_hex(16)
  checks = {'prompt': prompt, 'test': test, 'entry': entry, 'nonce': nonce}
  (ask, asked), (heard, answer), (result, told) = (os.pipe() for _ in range(3))
  boxes, given = [], [(ask, answer), (asked, heard, told)]
  # Calls go from `asked` to `ask`, values from `answer` to `heard`.
  try:
    job = {'program': program, 'entry': entry}
    boxes.append(box.Box('solve', job, limits, given[0]))
    boxes.append(box.Box('check', checks, limits, given[1], heard=False))
    for fd in (*given[0], *given[1]):
      os.close(fd)
    given = []
    found, full = _heard(*boxes, result, limits)
  finally:
    for fd in (result, *(fd for pair in given for fd in pair)):
      os.close(fd)
    for one in boxes:
      one.close()
  outcome, words = _outcome(*boxes, found, full, result, nonce, entry)
  return Verdict(outcome, words, time.monotonic() - begun)


def _heard(solver, check, result, limits):
  """Output and reports of both boxes and the result, each to its end."""
  caps = {
    solver.output: limits.output_bytes,
    solver.report: box.REPORT_BYTES,
    check.report: box.REPORT_BYTES,
    result: _RESULT_BYTES,
  }

  def stop():
    solver.stop()
    check.stop()

  return box.hear(caps, stop, limits.seconds + box.GRACE, last=result)


def _outcome(solver, check, found, full, result, nonce, entry):
  """(outcome, words) from the result and, where there is none, the reports."""
  of_solver = box.reported(found[solver.report])
  of_check = box.reported(found[check.report])
  if solver.output in full:
    return OUTPUT, 'it wrote more than the limit'
  if found[result] == nonce.encode():
    return PASSED, ''
  out_of_time = of_solver.get('ended') == 'time' or (
    -of_solver.get('status', 0) in _CPU_SIGNALS
  )
  text = found[result].decode('utf-8', 'replace')
  kind, _, words = text.removeprefix(checker.FAILED).partition(': ')
  if out_of_time or not text:
    return TIME, str(of_solver or of_check)
  if kind == checker.FAULTY:
    raise ValueError(f'the task of {entry} is faulty: {words}')
  if kind == checker.ENDED:
    words = f'it ended early: {of_solver}'
  return kind, words
