"""Plain data over a pipe, and whatever else a program may send."""

import collections
import decimal
import enum
import fractions
import json
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.sandbox import messages
from rlhf_jax.sandbox.checker import Caller, Raised

# In a set or as a key nan is not found again: its hash is its place in memory.
KEYS = st.one_of(
  st.none(),
  st.booleans(),
  st.integers(),
  st.text(),
  st.binary(),
  st.floats(allow_nan=False),
)
DATA = st.recursive(
  KEYS | st.floats() | st.complex_numbers() | st.fractions() | st.decimals(),
  lambda inner: (
    st.lists(inner)
    | st.tuples(inner, inner)
    | st.sets(KEYS)
    | st.frozensets(KEYS)
    | st.dictionaries(KEYS, inner)
  ),
  max_leaves=8,
)


def same(a, b):
  """Whether two values are one, nan and nan too, in whatever order sets are."""
  if type(a) is not type(b):
    return False
  if isinstance(a, list | tuple):
    return len(a) == len(b) and all(map(same, a, b))
  if isinstance(a, dict):
    return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
  return repr(a) == repr(b) or a == b


@settings(max_examples=30)
@given(DATA)
def test_what_is_decoded_is_what_was_encoded(value):
  found = messages.decode(json.loads(json.dumps(messages.encode(value))))
  assert same(found, value)


class Colour(enum.IntEnum):
  RED = 3


@pytest.mark.parametrize(
  ('value', 'plain'),
  [
    (collections.Counter('aab'), {'a': 2, 'b': 1}),
    (collections.OrderedDict(a=1), {'a': 1}),
    (collections.namedtuple('P', 'x')(1), (1,)),
    (Colour.RED, 3),
    (bytearray(b'a'), b'a'),
  ],
)
def test_a_subclass_goes_as_the_class_that_it_equals(value, plain):
  found = messages.decode(messages.encode(value))
  assert found == plain == value
  assert type(found) is type(plain)


@pytest.mark.parametrize(
  'value', [object(), range(3), iter([1]), len, [1, {2: object()}]]
)
def test_what_is_no_data_is_refused(value):
  with pytest.raises(messages.NotPlain, match='is no plain data'):
    messages.encode(value)


@pytest.mark.parametrize(
  'text',
  [
    '[]', '{}', '{"l": 1}', '["z", 1]', '[["l"], 1]', '["s", ["l"]]',
    '["d", ["a"]]', '["b", "x"]', '["b", 1]', '["c", "a"]', '["q", 1, 0]',
    '["m", "x"]', '["m", 1, 2, 3]', '[1]', '[null]', '["d", [["l"], 1]]',
    'x', '"', '1' * 5000, '[' * 50_000,
  ],
)  # fmt: skip
def test_what_is_no_message_is_refused(text):
  read, write = os.pipe()
  os.write(write, len(text).to_bytes(4, 'big') + text.encode())
  with pytest.raises(messages.NotPlain):
    messages.receive(read)
  os.close(read)
  os.close(write)


def test_numbers_that_json_lacks_go_through():
  for value in (math.inf, -math.inf, -0.0, 1e-320, 10**1000):
    text = json.dumps(messages.encode(value))
    assert repr(messages.decode(json.loads(text))) == repr(value)
  assert math.isnan(messages.decode(json.loads('NaN')))
  third, tenth = fractions.Fraction(1, 3), decimal.Decimal('0.10')
  assert messages.decode(messages.encode([third, tenth])) == [third, tenth]


@pytest.fixture
def caller():
  """A caller, and the ends of whoever answers."""
  (ask, asked), (heard, answer) = os.pipe(), os.pipe()
  yield Caller(asked, heard), ask, answer
  for fd in (ask, asked, heard, answer):
    try:
      os.close(fd)
    except OSError:  # closed by the test
      continue


def test_a_call_is_asked_and_answered(caller):
  call, ask, answer = caller
  messages.send(answer, ('value', [3]))
  assert call(1, b=2) == [3]
  assert messages.receive(ask) == ((1,), {'b': 2})
  assert call.calls == 1


def test_an_error_a_silence_and_nonsense_are_told_apart(caller):
  call, ask, answer = caller
  messages.send(answer, ('error', 'TypeError: no'))
  with pytest.raises(Raised, match='TypeError: no'):
    call(1)
  for wrong in (('value',), ['value', 3], 3, ('value', 3, 4)):
    messages.send(answer, wrong)
    with pytest.raises(messages.NotPlain, match='no answer'):
      call(1)
  os.close(answer)
  with pytest.raises(EOFError):
    call(1)
  os.close(ask)
  with pytest.raises(EOFError):
    call(1)


def test_a_message_that_is_too_long_is_not_read():
  read, write = os.pipe()
  os.write(write, (messages.MOST + 1).to_bytes(4, 'big'))
  with pytest.raises(messages.NotPlain, match='bytes are more than'):
    messages.receive(read)
  with pytest.raises(messages.NotPlain, match='bytes are more than'):
    messages.send(write, 'x' * messages.MOST)
  deep = []
  for _ in range(100_000):
    deep = [deep]
  with pytest.raises(messages.NotPlain):
    messages.send(write, deep)
  os.close(read)
  os.close(write)
