"""What the compiled programs of the stages are made of."""

import pytest

from experiments.shared import devices, models, policies
from rlhf_jax.models import matmul


@pytest.mark.parametrize(
  ('vocab_size', 'chunk'),
  [(1024, None), (policies.LARGE_VOCABULARY, policies.CHUNK)],
)
def test_logits_are_chunked_where_the_vocabulary_is_large(vocab_size, chunk):
  functions = models.rung_model('3K', vocab_size, 'float32')
  split = policies.split_model(functions)
  assert split == (functions.hidden_fn, functions.head_fn, chunk)


def test_a_mesh_that_does_not_fit_the_devices_is_an_error():
  assert devices.mesh_from({'data': 1, 'fsdp': 1, 'model': 1}) is None
  with pytest.raises(ValueError, match='does not fit .* devices'):
    devices.mesh_from({'data': 7, 'fsdp': 1, 'model': 3})


def test_a_model_is_built_once_whether_its_type_is_named_or_not():
  unnamed = models.rung_model('3K', 320)
  assert unnamed is models.rung_model('3K', 320, 'float32')
  assert unnamed is models.rung_model('3K', 320, dtype='float32')
  assert unnamed is not models.rung_model('3K', 320, 'bfloat16')


@pytest.mark.parametrize(
  ('units', 'computes'), [('yes', 'bf16_f32'), ('no', 'float32')]
)
def test_rounded_products_are_for_matrix_units_and_float32_elsewhere(
  units, computes, monkeypatch
):
  monkeypatch.setenv(matmul.FORCE, units)
  matmul.usable.cache_clear()
  config = {'dtype': 'float32', 'matmul': 'bf16_f32'}
  model = models.rung_model('3K', 320, **models.arithmetic(config))
  matmul.usable.cache_clear()
  assert model.config.matmul == computes
  assert (model is models.rung_model('3K', 320)) == (computes == 'float32')
  old = models.arithmetic({'dtype': 'bfloat16'})  # a run of before
  assert old == {'dtype': 'bfloat16', 'matmul': 'float32'}
