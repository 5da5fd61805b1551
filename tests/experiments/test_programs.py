"""What the compiled programs of the stages are made of."""

import pytest

from experiments.shared import programs


@pytest.mark.parametrize(
  ('vocab_size', 'chunk'),
  [(1024, None), (programs.LARGE_VOCABULARY, programs.CHUNK)],
)
def test_logits_are_chunked_where_the_vocabulary_is_large(vocab_size, chunk):
  split = programs.language_model('3K', vocab_size)
  functions = programs.model('3K', vocab_size, 'float32')
  assert split == (functions.hidden_fn, functions.head_fn, chunk)


def test_a_mesh_that_does_not_fit_the_devices_is_an_error():
  assert programs.mesh_of({'data': 1, 'fsdp': 1, 'model': 1}) is None
  with pytest.raises(ValueError, match='does not fit .* devices'):
    programs.mesh_of({'data': 7, 'fsdp': 1, 'model': 3})


def test_a_model_is_built_once_whether_its_type_is_named_or_not():
  unnamed = programs.model('3K', 320)
  assert unnamed is programs.model('3K', 320, 'float32')
  assert unnamed is programs.model('3K', 320, dtype='float32')
  assert unnamed is not programs.model('3K', 320, 'bfloat16')
