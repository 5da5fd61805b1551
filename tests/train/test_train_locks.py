"""Locks of directories: held by one, and the other is told by whom."""

import os
import socket
import subprocess
import sys

import pytest

from rlhf_jax.train.about import RunError
from rlhf_jax.train.locks import take_lock


def test_who_holds_a_directory_is_said_in_the_refusal(tmp_path):
  held = take_lock(tmp_path, True)
  who = f'{os.getpid()} on {socket.gethostname()}'
  for _ in range(2):  # a refusal changes nothing
    with pytest.raises(RunError) as found:
      take_lock(tmp_path, True)
    assert str(found.value) == (
      f'{tmp_path} is in use by another process ({who}): wait for it, or '
      'choose another --workdir'
    )
  held.close()
  take_lock(tmp_path, True).close()


def test_a_process_that_only_looks_holds_nothing(tmp_path):
  with take_lock(tmp_path, True):
    take_lock(tmp_path, False).close()
  with take_lock(tmp_path, False):
    take_lock(tmp_path, True).close()


def test_the_next_holder_writes_its_own_name(tmp_path):
  code = (
    'import sys\n'
    'from rlhf_jax.train.locks import take_lock\n'
    'take_lock(sys.argv[1], True)\n'
    'assert "jax" not in sys.modules\n'
  )
  subprocess.run([sys.executable, '-c', code, tmp_path], check=True)
  before = (tmp_path / '.lock').read_text()
  with take_lock(tmp_path, True):
    after = (tmp_path / '.lock').read_text()
  assert before != after == f'{os.getpid()} on {socket.gethostname()}\n'
