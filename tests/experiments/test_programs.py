"""How the compiled programs of the stages take a model's logits."""

import pytest

from experiments import programs


@pytest.mark.parametrize(
  ('vocab_size', 'chunk'),
  [(1024, None), (programs.LARGE_VOCABULARY, programs.CHUNK)],
)
def test_logits_are_chunked_where_the_vocabulary_is_large(vocab_size, chunk):
  split = programs.language_model('3K', vocab_size)
  functions = programs.model('3K', vocab_size, 'float32')
  assert split == (functions.hidden_fn, functions.head_fn, chunk)
