"""Runs that meet at every step: members of one program, each its own run.

A member is a function that runs in a thread of its own, one of them at a time.
A step that it calls waits until all others have called theirs, or have ended;
then one program takes the step of all,

    results = vmap(step)(stack(arguments)),

and each member goes on with its own result. So whatever calls the step is what
it would be alone: its directory, data, checkpoints. Members may be at different
steps. Results are those of the step alone, up to rounding.
"""

import functools
import threading
from typing import Any, NamedTuple

import jax

from rlhf_jax.train import members

_here = threading.local()  # group and number of the member in this thread


class _Call(NamedTuple):
  """One member's call of a step.

  Attributes:
    step: not jitted.
    alone: the same, jitted.
    args: of the call, the state first, which is donated.
  """

  step: Any
  alone: Any
  args: tuple


def meeting(step, alone):
  """The jitted step; in a member of a group, the step of all of them.

  Args:
    step: (state, ...) -> (state, metrics).
    alone: the same, jitted.
  """

  def call(*args):
    member = getattr(_here, 'member', None)
    if member is None:
      return alone(*args)
    group, number = member
    return group.call(number, _Call(step, alone, args))

  call.lower = alone.lower
  return call


def run(functions) -> list[BaseException | None]:
  """Runs functions of nothing as members of a group; what each has raised."""
  group = _Group(len(functions))
  threads = [
    threading.Thread(target=group.member, args=(i, function), daemon=True)
    for i, function in enumerate(functions)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  return [group.errors.get(i) for i in range(len(functions))]


class _Group:
  """Members that take turns: whoever has the turn passes it on when it waits.

  Args:
    count: of members; the first begins.
  """

  def __init__(self, count):
    self.errors, self._active, self._turn = {}, set(range(count)), 0
    self._calls, self._results = {}, {}
    self._changed = threading.Condition()

  def member(self, number, function):
    """Runs a member in this thread, from its first turn on."""
    self._wait(number)
    _here.member = self, number
    try:
      function()
    except BaseException as error:  # noqa: BLE001 (the others go on)
      self.errors[number] = error
    self._active.remove(number)
    self._pass_on(number)

  def call(self, number, call):
    """The result of a step, when all have met.

    Raises:
      Exception: what the step has raised.
    """
    self._calls[number] = call
    self._pass_on(number)
    self._wait(number)
    result, error = self._results.pop(number)
    if error is not None:
      raise error
    return result

  def _wait(self, number):
    with self._changed:
      self._changed.wait_for(lambda: self._turn == number)

  def _pass_on(self, number):
    """Gives the turn to the next that can go on; all of them, once they met."""
    if self._active and self._active == self._calls.keys():
      self._meet()
    ready = sorted(self._active - self._calls.keys())
    later = [k for k in ready if k > number]
    with self._changed:
      self._turn = (later or ready or [None])[0]
      self._changed.notify_all()

  def _meet(self):
    calls, self._calls = self._calls, {}
    for alike in alike_of(calls):
      try:
        results = _take([calls[k] for k in alike])
        found = [(result, None) for result in results]
      except Exception as error:  # noqa: BLE001 (each member has it)
        found = [(None, error)] * len(alike)
      self._results |= dict(zip(alike, found, strict=True))


def alike_of(calls) -> list[list[int]]:
  """Numbers of the members whose steps and shapes are the same.

  Args:
    calls: {number: _Call}.
  """
  found = {}
  for number, call in sorted(calls.items()):
    leaves, structure = jax.tree.flatten(call.args)
    shape = lambda x: getattr(x, 'shape', ())
    kind = lambda x: str(getattr(x, 'dtype', type(x)))
    shapes = tuple((shape(x), kind(x)) for x in leaves)
    found.setdefault((call.step, structure, shapes), []).append(number)
  return list(found.values())


def _take(calls):
  """Results of calls that are alike, of one program if they are several."""
  first = calls[0]
  if len(calls) == 1:
    return [first.alone(*first.args)]
  columns = list(zip(*(call.args for call in calls), strict=True))
  shared = tuple(i for i, x in enumerate(columns) if i and _is_one(x))
  program = _program(first.step, shared)
  return program(columns[0], columns[1:])


def _is_one(trees):
  """Whether all members hand over the very same arrays."""
  first, *others = map(jax.tree.leaves, trees)
  return all(
    x is y for other in others for x, y in zip(first, other, strict=True)
  )


@functools.cache
def _program(step, shared):
  """Jitted (K states, K of each other argument) -> K results of the step."""
  stepped = members.vmap_members(step, shared=shared)

  def together(states, rest):
    stacked = [
      column[0] if i in shared else members.stack(column)
      for i, column in enumerate(rest, 1)
    ]
    return members.unstack(stepped(members.stack(states), *stacked))

  together.__name__ = f'{getattr(step, "__name__", "step")}_members'
  return jax.jit(together, donate_argnums=0)
