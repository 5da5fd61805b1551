"""A task, boxes that can be told apart, and whether this machine has any."""

import functools
import time
from pathlib import Path

import pytest

from rlhf_jax.sandbox import box

PROMPT = 'def add(a, b):\n  """The sum."""\n'
TEST = 'def check(candidate):\n  assert candidate(1, 2) == 3\n'
RIGHT = PROMPT + '  return a + b\n'


@functools.cache
def why_none():
  """Reason why this machine runs no boxes, or ''."""
  return box.refusal()


def need_boxes():
  """Skips, saying why, where the kernel refuses boxes."""
  if why_none():
    pytest.skip(why_none())


def alive(token):
  """Numbers of the processes whose command line holds the token."""
  found = []
  for path in Path('/proc').glob('[0-9]*/cmdline'):
    try:
      if token.encode() in path.read_bytes():
        found.append(path.parent.name)
    except OSError:  # it ended meanwhile
      continue
  return found


def gone(token, seconds=20.0):
  """Whether they end within the seconds."""
  until = time.monotonic() + seconds
  while alive(token) and time.monotonic() < until:
    time.sleep(0.02)
  return not alive(token)
