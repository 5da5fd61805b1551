"""Every spelling of rotary angles: as transformers reads it, or refused."""

import copy
import importlib
import json

import jax
import numpy as np
import pytest
import torch
import transformers
from hf_models import loaded, torch_logits
from safetensors.numpy import save_file

from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.pretrained.placing import PretrainedError
from rlhf_jax.models.pretrained.settings import config_of
from rlhf_jax.models.rotary import rotary_frequencies

SIZES = dict(
  vocab_size=9,
  hidden_size=64,
  intermediate_size=8,
  num_hidden_layers=1,
  num_attention_heads=4,
  num_key_value_heads=4,
  max_position_embeddings=64,
)
LINEAR = {'rope_type': 'linear', 'factor': 4.0}
PLAIN = {'rope_type': 'default', 'rope_theta': 1e4}
LLAMA3 = dict(
  rope_type='llama3', factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0
)
LENGTH = 'original_max_position_embeddings'
YARN = {'rope_type': 'yarn', 'factor': 4.0}


def frequencies_of_transformers(kind, settings):
  settings = copy.deepcopy(settings)  # they are written into
  config = transformers.AutoConfig.for_model(kind, **SIZES, **settings)
  module = importlib.import_module(
    f'transformers.models.{kind}.modeling_{kind}'
  )
  names = [name for name in dir(module) if name.endswith('RotaryEmbedding')]
  return getattr(module, names[0])(config).inv_freq.numpy()


READ = [
  ('llama', {}),
  ('llama', {'rope_parameters': PLAIN, 'rope_scaling': LINEAR}),
  (
    'llama',
    {'rope_parameters': PLAIN | {'rope_theta': 5e5}, 'rope_scaling': LINEAR},
  ),
  ('llama', {'rope_parameters': LINEAR, 'rope_scaling': PLAIN}),
  ('llama', {'rope_parameters': LINEAR, 'rope_scaling': {}}),
  ('llama', {'rope_parameters': LINEAR, 'rope_scaling': None}),
  ('llama', {'rope_theta': 5e5, 'rope_scaling': LINEAR}),
  ('llama', {'rope_theta': 5e5, 'rope_parameters': PLAIN}),
  ('llama', {'rope_scaling': {'type': 'linear', 'factor': 2}}),
  ('llama', {'rope_scaling': LINEAR | {'type': 'dynamic'}}),
  ('llama', {'rope_scaling': LINEAR | {'factor': 0.5}}),
  ('llama', {'rope_scaling': LLAMA3}),
  ('llama', {'rope_scaling': LLAMA3 | {LENGTH: 16}}),
  ('llama', {'rope_scaling': LLAMA3 | {LENGTH: 16}, LENGTH: 48}),
  ('llama', {'rope_scaling': LLAMA3, LENGTH: 16}),
  ('llama', {'rope_interleaved': False, 'use_mrope': False}),
  ('qwen2', {'rope_parameters': PLAIN, 'rope_scaling': LINEAR}),
  ('gpt_neox', {'rotary_pct': 0.5, 'rotary_emb_base': 5e5}),
  ('gpt_neox', {'rotary_pct': 0.5, 'rope_scaling': LINEAR}),
  ('gpt_neox', {'rope_parameters': {'rope_theta': 5e5}}),
  (
    'gpt_neox',
    {'rope_scaling': LINEAR | {'partial_rotary_factor': 0.75}},
  ),
]


@pytest.mark.parametrize(('kind', 'settings'), READ)
def test_angles_are_those_of_transformers(kind, settings):
  config = config_of(SIZES | settings | {'model_type': kind})
  ours = rotary_frequencies(
    config.rotary_size, config.rope_theta, config.rope_scaling
  )
  theirs = frequencies_of_transformers(kind, settings)
  np.testing.assert_allclose(ours, theirs, rtol=1e-5)  # theirs are float32


REFUSED = [
  ('llama', {'rope_parameters': PLAIN, 'rope_scaling': YARN}, "'yarn'"),
  ('llama', {'rope_parameters': YARN, 'rope_scaling': {}}, "'yarn'"),
  ('llama', {'rope_scaling': {'type': 'dynamic', 'factor': 2.0}}, 'dynamic'),
  ('llama', {'rope_scaling': PLAIN | {'factor': 4.0}}, 'factor of 4.0 beside'),
  ('llama', {'rope_scaling': {'factor': 4.0}}, 'factor of 4.0 beside'),
  ('llama', {'rope_scaling': {'rope_type': None, 'factor': 4.0}}, 'rope_type'),
  ('llama', {'rope_scaling': 4.0}, 'rope_scaling to be an object'),
  ('llama', {'rope_scaling': 'linear'}, 'rope_scaling to be an object'),
  ('llama', {'rope_scaling': [LINEAR]}, 'rope_scaling to be an object'),
  ('llama', {'rope_scaling_factor': 4.0}, 'rope_scaling_factor=4.0'),
  ('llama', {'rotary_scaling_factor': 4}, 'rotary_scaling_factor=4'),
  ('llama', {'rope_ratio': 2}, 'rope_ratio=2'),
  ('llama', {'use_dynamic_ntk': True}, 'use_dynamic_ntk=True'),
  ('llama', {'rotary_emb_base': 5e5}, 'rotary_emb_base=500000'),
  ('llama', {'rotary_pct': 0.5}, 'rotary_pct=0.5'),
  ('llama', {'partial_rotary_factor': 0.5}, 'partial_rotary_factor=0.5'),
  ('llama', {'rope_scaling': LINEAR | {'attention_factor': 3.0}}, 'attention_'),
  ('llama', {'rope_parameters': {'full_attention': LINEAR}}, 'between layers'),
  ('qwen2', {'rope_parameters': {'full_attention': LINEAR}}, 'between layers'),
  ('gpt_neox', {'rope_theta': 5e5}, 'rope_theta=500000'),
  ('gpt_neox', {'partial_rotary_factor': 0.5}, 'partial_rotary_factor=0.5'),
  ('gpt_neox', {'rotary_pct': 0}, 'rotary_pct to be a finite number above 0'),
  ('gpt_neox', {'rotary_pct': 0.01}, 'features of a head to be turned'),
  ('gpt_neox', {'rotary_pct': 1.5}, 'features of a head to be turned'),
]


@pytest.mark.parametrize(('kind', 'settings', 'message'), REFUSED)
def test_a_factor_that_is_not_read_is_refused(kind, settings, message):
  with pytest.raises(PretrainedError, match=message) as error:
    config_of(SIZES | settings | {'model_type': kind})
  assert '\n' not in str(error.value)


def test_logits_with_both_spellings_are_those_of_transformers(
  imported, tmp_path, rows
):
  """The scaling of `rope_scaling` counts beside a default `rope_parameters`."""
  model = imported('llama')
  settings = model.settings | {'rope_parameters': PLAIN, 'rope_scaling': LINEAR}
  (tmp_path / 'config.json').write_text(json.dumps(settings))
  arrays = model.torch.state_dict().items()
  save_file(
    {name: x.contiguous().numpy() for name, x in arrays},
    tmp_path / 'model.safetensors',
    metadata={'format': 'pt'},
  )
  tokens_BT, mask_BT = rows[0]
  with torch.no_grad():
    theirs = torch_logits(loaded(tmp_path), tokens_BT, mask_BT)
  config, params, _ = load_folder(tmp_path)
  ours = jax.jit(build(config).logits_fn)(params, tokens_BT, mask_BT.sum(1))
  np.testing.assert_allclose(
    np.asarray(ours)[mask_BT], theirs[mask_BT], rtol=1e-4, atol=1e-4
  )
  plain = torch_logits(model.torch, tokens_BT, mask_BT)
  assert np.abs(plain - theirs)[mask_BT].max() > 0.1  # the factor matters
