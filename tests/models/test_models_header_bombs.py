"""Headers that announce more than their file holds: refused before any loop."""

import struct
import time

import pytest

from rlhf_jax.models.pretrained.gguf import load_gguf
from rlhf_jax.models.pretrained.llama2c import load_llama2c
from tests.pretrained_files import need_or_skip

need_or_skip('gguf')


def header(*values, tensors=0):
  """A header of keys 'k', each with these bytes of type and value."""
  key = struct.pack('<Q', 1) + b'k'
  return struct.pack('<4sIQQ', b'GGUF', 3, tensors, len(values)) + b''.join(
    key + value for value in values
  )


def array(of, count, rest=b''):
  return struct.pack('<IIQ', 9, of, count) + rest


NESTED = b''.join(struct.pack('<IQ', 9, 1) for _ in range(5000))


@pytest.mark.parametrize(
  ('data', 'message'),
  [
    (header(array(4, 2**60)), f'{2**60} values are announced in 64 bytes'),
    (header(array(0, 2**62)), 'values are announced in 64'),
    (header(array(8, 2**60)), 'values are announced in 64'),
    (header(array(9, 1, NESTED)), 'array of values of the type 9'),
    (header(struct.pack('<IQ', 8, 2**63)), f'{2**63} bytes are announced'),
    (header(struct.pack('<I', 77)), 'a value of the type 77'),
    (struct.pack('<4sIQQ', b'GGUF', 3, 0, 2**50), 'keys are announced'),
    (struct.pack('<4sIQQ', b'GGUF', 3, 2**50, 0), 'tensors are announced'),
    (
      header(tensors=1)
      + struct.pack('<Q1sIQQIQ', 1, b't', 2, 2**32, 2**32, 0, 0),
      f'a tensor of {2**64} weights',
    ),
    (
      header(tensors=1) + struct.pack('<Q1sI', 1, b't', 2**31),
      f'a tensor of {2**31} dimensions',
    ),
    (struct.pack('<4sI', b'GGUF', 1), 'version 1: wanted 2 or 3'),
  ],
)
def test_a_header_bomb_is_refused_at_once(tmp_path, data, message):
  (tmp_path / 'bomb.gguf').write_bytes(data + bytes(64))
  start = time.perf_counter()
  with pytest.raises(ValueError, match=message) as error:
    load_gguf(tmp_path / 'bomb.gguf')
  assert time.perf_counter() - start < 2
  assert 'corrupt' in str(error.value) and '\n' not in str(error.value)


def test_a_llama2c_header_of_ten_million_layers_is_refused_at_once(tmp_path):
  path = tmp_path / 'bomb.bin'
  path.write_bytes(struct.pack('<7i', 8, 8, 10**7, 2, 2, 8, 8) + bytes(100))
  # A layer: 2 norms of 8, and 7 matrices of 64, all of 4 bytes.
  layers = 4 * 10**7 * (2 * 8 + 7 * 64)
  rest = 28 + 4 * (64 + 8 + 8 * 4)  # header, embedding, norm, rotary tables
  start = time.perf_counter()
  with pytest.raises(ValueError, match=f'wanted {layers + rest} b.*got 128'):
    load_llama2c(path)
  assert time.perf_counter() - start < 2
