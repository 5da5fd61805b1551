"""Programs that attack: each fails, and leaves nothing behind.

Those of QUICK run in `make test`; in `make test-all` the others too, and all
once more without the filter of system calls, so that no wall stands for
another.
"""

import socket
import uuid

import pytest
from boxes import PROMPT, TEST, alive, need_boxes

from rlhf_jax.sandbox import box
from rlhf_jax.sandbox.judge import judge
from rlhf_jax.sandbox.limits import BoxLimits

NONCE = 'ab' * 16
# A right function, which hides what stands before it.
ADD = 'def add(a, b):\n  return a + b\n'

# Name: (program, what may come of it behind all walls, and without the
# filter; '' as before). VICTIM, PORT: a file and a server outside.
ATTACKS = {
  'fork bomb': (
    'import os\nwhile True: os.fork()',
    'error',
    # All of them read the questions, in pieces.
    'error ended unreadable time',
  ),
  'thread bomb': (
    'import threading, time\n'
    'while True: threading.Thread(target=time.sleep, args=(9,)).start()',
    'error',
    '',
  ),
  'socket': (
    'import socket\nsocket.create_connection(("127.0.0.1", PORT), 1)',
    'error',
    '',
  ),
  'write outside': ('open(VICTIM, "w").write("x")', 'error', ''),
  'write into the library': (
    'import os\nopen(os.__file__, "a").write("x")',
    'error',
    '',
  ),
  'delete a file': ('import os\nos.remove(VICTIM)', 'error', ''),
  'delete the library': (
    'import os, shutil\nshutil.rmtree(os.path.dirname(os.__file__) + "/json")',
    'error',
    '',
  ),
  'ten gigabytes': ('x = bytearray(10 << 30)', 'error', ''),
  'ten gigabytes, bit by bit': (
    'import mmap\nx = []\nwhile True: x.append(mmap.mmap(-1, 1 << 26))',
    'error',
    '',
  ),
  'fill the scratch': (
    'i = 0\nwhile True:\n'
    '  open(f"/tmp/{i}", "wb").write(bytes(1 << 20))\n  i += 1',
    'error',
    '',
  ),
  'one long file': (
    'open("/tmp/x", "wb").write(bytes(9 << 20))',
    'error',
    '',
  ),
  'endless loop': ('while True: pass', 'time', ''),
  'long sleep': ('import time\ntime.sleep(1000)', 'time', ''),
  'exit before the checks': ('import os\nos._exit(0)', 'ended', ''),
  'exit when called': (
    'import os\ndef add(a, b): os._exit(0)',
    'ended',
    '',
  ),
  'polite exit': ('import sys\nsys.exit(0)', 'error', ''),
  'exit from a destructor': (
    'class A:\n  def __del__(self): __import__("os")._exit(0)\nA()',
    'ended',
    '',
  ),
  'read the answers': ('print(open(VICTIM).read())', 'error', ''),
  'read the harness': (
    'import rlhf_jax.sandbox.judge as j\nprint(open(j.__file__).read())',
    'error',
    '',
  ),
  'read memory': ('open("/proc/self/mem", "rb")', 'error', ''),
  'read the process above': (
    'open("/proc/1/environ", "rb")',
    'error',
    '',
  ),
  'much output': ('print("x" * 10**7)', 'output', ''),
  'endless output': ('while True: print("x" * 1000)', 'output', ''),
  'equal to everything': (
    'class All:\n  def __eq__(self, other): return True\n'
    '  __hash__ = None\ndef add(a, b): return All()',
    'error',
    '',
  ),
  'a number equal to everything': (
    'class All(int):\n  def __eq__(self, other): return True\n'
    'def add(a, b): return All(7)',
    'wrong',
    '',
  ),
  'a daemon': (
    'import os, time\nif os.fork() == 0:\n  os.setsid()\n'
    '  if os.fork() == 0:\n    time.sleep(600)\n  os._exit(0)\n'
    'def add(a, b): return 0',
    'error',
    'wrong',
  ),
  'kill all': (
    'import os, signal\nos.kill(-1, signal.SIGKILL)\n'
    'os.kill(1, signal.SIGKILL)\nos.kill(os.getppid(), signal.SIGKILL)\n'
    'def add(a, b): return 0',
    'error',
    'wrong error ended',
  ),
  'another program': (
    'import os\nos.execv("/bin/sh", ["sh", "-c", "true"])',
    'error',
    '',
  ),
  'patched builtins': (
    'import builtins\nbuiltins.AssertionError = Exception\n'
    'builtins.isinstance = lambda *_: True\n'
    'def add(a, b): return 0',
    'wrong unreadable ended',
    '',
  ),
  'patched messages': (
    'import sys\nm = sys.modules["rlhf_jax.sandbox.messages"]\n'
    'm.NotPlain.__eq__ = lambda *_: True\n'
    'm.encode = lambda value: ["v", ["l"] * 3]\n' + ADD,
    'unreadable',
    '',
  ),
  'a trace': (
    'import sys\nsys.settrace(lambda *_: sys.exit(0))\n'
    'def add(a, b): return a - b',
    'error wrong ended',
    '',
  ),
  'the known nonce, everywhere': (
    'import os, sys\nprint(NONCE)\nprint(NONCE, file=sys.stderr)\n'
    'for fd in range(64):\n  try: os.write(fd, NONCE.encode())\n'
    '  except OSError: pass\ndef add(a, b): return NONCE',
    'unreadable',
    '',
  ),
  'the known nonce, politely': (
    'def add(a, b): return NONCE',
    'wrong',
    '',
  ),
  'a length without end': (
    'import os\nfor fd in range(3, 64):\n'
    '  try: os.write(fd, b"\\xff" * 4)\n  except OSError: pass\n' + ADD,
    'unreadable',
    '',
  ),
  'a crash': ('import ctypes\nctypes.string_at(0)', 'ended', ''),
  'deep recursion': ('def add(a, b): return add(a, b)', 'error', ''),
}


QUICK = (
  *('fork bomb', 'socket', 'write outside', 'ten gigabytes', 'endless loop'),
  *('exit before the checks', 'polite exit', 'read the answers'),
  *('much output', 'equal to everything', 'the known nonce, everywhere'),
)
OTHERS = [name for name in ATTACKS if name not in QUICK]


@pytest.fixture
def outside(tmp_path, monkeypatch):
  """A file and a server outside; afterwards nothing has touched them."""
  need_boxes()
  token = uuid.uuid4().hex
  monkeypatch.setattr(box, '_START', f'{box._START}  # {token}')
  monkeypatch.setattr('secrets.token_hex', lambda n: NONCE)
  victim = tmp_path / 'victim'
  victim.write_text(TEST)
  for path in (victim, tmp_path):
    path.chmod(0o777)
  with socket.create_server(('127.0.0.1', 0)) as server:
    server.setblocking(False)
    yield (
      f'VICTIM, NONCE = {str(victim)!r}, {NONCE!r}\n'
      f'PORT = {server.getsockname()[1]}\n'
    )
    with pytest.raises(BlockingIOError):
      server.accept()
  assert victim.read_text() == TEST
  assert [path.name for path in tmp_path.iterdir()] == ['victim']
  assert alive(token) == []


def attacked(known, name, outcomes, filtered):
  seconds = 0.3 if outcomes == 'time' else 15.0 if filtered else 5.0
  limits = BoxLimits(seconds=seconds, filtered=filtered)
  verdict = judge(known + ATTACKS[name][0], PROMPT, TEST, 'add', limits)
  assert verdict.outcome in outcomes.split(), verdict
  assert not verdict.passed


@pytest.mark.parametrize('name', QUICK)
def test_an_attack_fails_and_leaves_nothing(outside, name):
  attacked(outside, name, ATTACKS[name][1], True)


@pytest.mark.slow  # two interpreters each
@pytest.mark.parametrize('name', OTHERS)
def test_a_rarer_attack_fails_and_leaves_nothing(outside, name):
  attacked(outside, name, ATTACKS[name][1], True)


@pytest.mark.slow  # the same attacks once more
@pytest.mark.parametrize('name', ATTACKS)
def test_an_attack_fails_without_the_filter_too(outside, name):
  _, with_all, without = ATTACKS[name]
  attacked(outside, name, without or with_all, False)


def test_the_program_finds_no_nonce_in_its_process(outside):
  """It looks into all objects, frames and modules, and finds its own text."""
  program = (
    'import gc, os, sys\n'
    'def search():\n'
    '  texts = [repr(x) for x in gc.get_objects() if type(x) is dict]\n'
    '  frame = sys._getframe().f_back\n'
    '  while frame:\n'
    '    texts.append(repr(frame.f_locals) + repr(frame.f_globals))\n'
    '    frame = frame.f_back\n'
    '  texts += [repr(vars(m)) for m in list(sys.modules.values())]\n'
    '  texts += sys.argv + sys.orig_argv + [repr(os.environ)]\n'
    '  has = lambda word: any(word * 8 in text for text in texts)\n'
    '  return has("ab"), has("cd")  # cdcdcdcdcdcdcdcd\n'
    'FOUND = search()\n'
    'def add(a, b): return 3 if FOUND == (False, True) else FOUND\n'
  )
  verdict = judge(program, PROMPT, TEST, 'add')
  assert verdict.passed, verdict


@pytest.mark.slow  # a second of the processor
def test_the_limit_of_processor_time_ends_a_loop(outside):
  program = f'{outside}while True: pass'
  limits = BoxLimits(seconds=60.0, cpu_seconds=1)
  verdict = judge(program, PROMPT, TEST, 'add', limits)
  assert verdict.outcome == 'time'
  assert verdict.seconds < 30
