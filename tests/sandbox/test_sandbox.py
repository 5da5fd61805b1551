"""Boxes: what a program finds in one, how it ends, and judgements."""

import ast
import errno
import os
import signal
import struct
import subprocess
import sys
import uuid

import pytest
from boxes import PROMPT, RIGHT, TEST, alive, gone, need_boxes

from rlhf_jax.sandbox import box, kernel
from rlhf_jax.sandbox.box import Ended, run_program
from rlhf_jax.sandbox.judge import judge
from rlhf_jax.sandbox.limits import BoxLimits, SandboxError


@pytest.fixture
def boxes():
  need_boxes()


def printed(program, **limits):
  found = run_program(program, BoxLimits(**limits))
  assert (found.kind, found.number) == ('exit', 0), found.output.decode()
  return found.output.decode()


def test_a_box_holds_python_and_nothing_else(boxes):
  program = (
    'import os, sys\n'
    'print((sorted(os.listdir("/")), sorted(os.environ), os.listdir(".")))\n'
  )
  found, variables, scratch = ast.literal_eval(printed(program))
  tops = {path.split('/')[1] for path in (os.__file__, '/tmp', '/usr')}
  assert set(found) - {'lib', 'lib64'} <= tops
  assert set(variables) <= {'LC_CTYPE'}
  assert scratch == []


def test_a_box_computes_with_the_standard_library(boxes):
  program = (
    'import collections, datetime, decimal, fractions, functools, hashlib\n'
    'import heapq, itertools, math, random, re, statistics, string, tempfile\n'
    'with tempfile.TemporaryFile("w+") as f:\n'
    '  f.write("a"); f.seek(0); print(f.read())\n'
    'print(hashlib.md5(b"a").hexdigest()[:4], random.Random(0).random())'
  )
  assert printed(program).split() == ['a', '0cc1', '0.8444218515250481']


def test_a_box_has_no_packages_but_the_standard_library(boxes):
  found = run_program('import numpy')
  assert (found.kind, found.number) == ('exit', 1)
  assert b"No module named 'numpy'" in found.output


def test_a_program_has_no_privilege(boxes):
  program = (
    'import os\nfound = []\n'
    'for call in (lambda: os.setuid(0), lambda: os.chroot("/tmp"),\n'
    '             lambda: os.mknod("/tmp/x", 0o20666, 0x103),\n'
    '             lambda: os.chown("/tmp", 0, 0)):\n'
    '  try: call()\n  except OSError as e: found.append(e.errno)\n'
    'print(found, os.getuid() != 0)'
  )
  for filtered, number in ((True, errno.EACCES), (False, errno.EPERM)):
    found = printed(program, filtered=filtered)
    assert found == f'{[number] * 4} True\n'


@pytest.mark.parametrize(
  ('program', 'kind', 'number'),
  [
    ('print(1)', 'exit', 0),
    ('raise SystemExit(7)', 'exit', 7),
    ('1 / 0', 'exit', 1),
    ('import ctypes; ctypes.string_at(0)', 'signal', signal.SIGSEGV),
  ],
)
def test_an_end_has_its_kind_and_number(boxes, program, kind, number):
  found = run_program(program)
  assert (found.kind, found.number) == (kind, number)
  assert 0 < found.seconds < 60


def test_output_is_kept_up_to_the_limit(boxes):
  found = run_program('print("x" * 5000)', BoxLimits(output_bytes=100))
  assert found[:3] == Ended('output', 0, b'x' * 100, 0)[:3]


@pytest.mark.slow  # another interpreter
def test_a_box_ends_when_whoever_started_it_is_killed(boxes):
  token = uuid.uuid4().hex
  program = (
    'from rlhf_jax.sandbox import box\n'
    f'box._START += "  # {token}"\n'
    'box.run_program("import time; time.sleep(600)")\n'
  )
  host = subprocess.Popen([sys.executable, '-c', program], cwd=box.ROOT)
  while len(alive(token)) < 5:  # the host's own command line, and four
    assert host.poll() is None
  host.kill()
  host.wait()
  assert gone(token)


@pytest.mark.slow  # another interpreter
def test_a_user_who_is_not_root_has_boxes_too(boxes):
  python, other = '/usr/bin/python3', 54321
  if os.geteuid() or not os.path.exists(python):
    pytest.skip(f'this needs root, and a Python of all users at {python}')
  program = (
    'import os\nfrom rlhf_jax.sandbox.box import run_program\n'
    'show = "import os; print(os.getuid(), os.getpid(), os.listdir())"\n'
    'print(run_program(show).output)\n'
    'print(run_program("import os; os.fork()").number)\n'
  )
  done = subprocess.run(
    [python, '-B', '-c', program],
    cwd=box.ROOT,
    user=other,
    group=other,
    extra_groups=[],
    capture_output=True,
    text=True,
  )
  assert done.stdout == f"b'{other} 2 []\\n'\n1\n", done.stderr


def test_another_machine_is_refused_in_one_line(monkeypatch):
  monkeypatch.setattr('platform.machine', lambda: 'riscv64')
  with pytest.raises(SandboxError, match='x86_64.* got: Linux on riscv64; not'):
    run_program('print(1)')
  with pytest.raises(SandboxError, match='nothing was run'):
    judge(RIGHT, PROMPT, TEST, 'add')


@pytest.mark.slow  # another interpreter
def test_a_kernel_that_refuses_namespaces_is_named(boxes):
  """In a user namespace that is allowed no other."""
  inside = (
    'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c '
    '"from rlhf_jax.sandbox.box import refusal; print(refusal())"'
  )
  done = subprocess.run(
    ['unshare', '-Ur', 'sh', '-c', inside, sys.executable],
    cwd=box.ROOT,
    capture_output=True,
    text=True,
  )
  if done.returncode:
    pytest.skip(f'no such namespace can be made here: {done.stderr}')
  assert 'got: unshare: No space left on device' in done.stdout
  assert done.stdout.count('\n') == 1


@pytest.mark.parametrize(
  ('program', 'outcome', 'words'),
  [
    (RIGHT, 'passed', ''),
    (RIGHT + 'print("noise")\n', 'passed', ''),
    (PROMPT + '  return a - b\n', 'wrong', 'AssertionError'),
    (PROMPT + '  return a / 0\n', 'error', 'ZeroDivisionError'),
    (PROMPT + '  retrun a\n', 'error', 'SyntaxError'),
    (PROMPT.replace('add', 'sub'), 'error', "KeyError: 'add'"),
    (PROMPT + '  return object()\n', 'error', 'object is no plain data'),
  ],
)
def test_a_judgement_says_what_happened(boxes, program, outcome, words):
  found = judge(program, PROMPT, TEST, 'add')
  assert found.outcome == outcome
  assert words in found.words


def test_helpers_of_the_checks_are_those_of_the_prompt(boxes):
  """A program that defines them anew is not believed."""
  helper = 'def right(x):\n  return x == 3\n\n'
  test = 'def check(candidate):\n  assert right(candidate(1, 2))\n'
  prompt = helper + PROMPT
  assert judge(prompt + '  return a + b\n', prompt, test, 'add').passed
  cheat = PROMPT + '  return 0\n\ndef right(x):\n  return True\n'
  assert judge(helper + cheat, prompt, test, 'add').outcome == 'wrong'


@pytest.mark.parametrize(
  ('prompt', 'test', 'words'),
  [
    (PROMPT, 'def check(candidate):\n  pass\n', 'the checks called nothing'),
    ('def add(a, b):\n', TEST, 'IndentationError'),
    (PROMPT, 'def check(', 'SyntaxError'),
  ],
)
def test_a_task_that_is_none_is_an_error(boxes, prompt, test, words):
  with pytest.raises(ValueError, match=f'task of add is faulty: .*{words}'):
    judge(RIGHT, prompt, test, 'add')


def test_arguments_and_values_of_many_kinds_go_through(boxes):
  values = "[None, True, 2, -0.5, 'ü\\ud800', (1,), {2}, {3: [4]}, b'5', 6j]"
  test = (
    f'def check(candidate):\n  for x in {values}:\n'
    '    assert candidate(x) == x and type(candidate(b=x)) is type(x)\n'
  )
  prompt = 'def same(a=None, b=None):\n  """One of them."""\n'
  program = prompt + '  return b if a is None else a\n'
  assert judge(program, prompt, test, 'same').passed


def allows(program, number, machine=kernel._X86_64):
  """What a filter returns, instruction by instruction."""
  rows = list(struct.iter_unpack('HBBI', program))
  words, held, at = {0: number, 4: machine}, 0, 0
  while True:
    code, then, otherwise, value = rows[at]
    if code == kernel._RETURN:
      return value
    at += 1
    if code == kernel._LOAD:
      held = words[value]
    else:
      at += then if held == value else otherwise


def test_the_filter_allows_its_list_and_nothing_else():
  program = kernel.filter_program(kernel.ALLOWED.values())
  allowed = set(kernel.ALLOWED.values())
  for number in range(600):
    expected = kernel._ALLOW if number in allowed else kernel._DENY
    assert allows(program, number) == expected
  assert allows(program, 1 | 0x40000000) == kernel._DENY  # x32
  assert allows(program, 1, machine=0x40000003) == kernel._KILL  # 32 bits
  fork, clone, exec_, socket, shmget, ptrace = 57, 56, 59, 41, 29, 101
  assert not allowed & {fork, clone, exec_, socket, shmget, ptrace}


def test_the_numbers_of_the_filter_are_those_of_the_kernel():
  path = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h'
  if not os.path.exists(path):
    pytest.skip(f'no {path}')
  with open(path) as file:
    rows = [line.split() for line in file if line.startswith('#define __NR_')]
  known = {name.removeprefix('__NR_'): int(number) for _, name, number in rows}
  for name, number in (kernel.ALLOWED | kernel._NUMBER).items():
    assert known[name] == number
