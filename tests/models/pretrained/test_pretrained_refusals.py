"""Damaged and foreign folders: one line each, that names what is wrong."""

import builtins
import importlib
import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.pretrained.settings import config_of
from rlhf_jax.models.rotary import RopeScaling

PREFIX = 'model.layers.1.'


@pytest.fixture
def folder(imported, tmp_path):
  """A copy of a Llama's folder: (path, arrays, settings, write)."""
  model = imported('llama')
  arrays = load_file(model.path / 'model.safetensors')
  settings = json.loads(model.settings_text)

  def write(arrays=arrays, settings=settings, name='model.safetensors'):
    if arrays is not None:
      save_file(arrays, tmp_path / name)
    (tmp_path / 'config.json').write_text(json.dumps(settings))
    return tmp_path

  write()
  return tmp_path, arrays, settings, write


def refused(path, match):
  with pytest.raises(ValueError, match=match) as error:
    load_folder(path)
  assert '\n' not in str(error.value)


def test_a_missing_array_is_named(folder):
  _, arrays, _, write = folder
  del arrays[f'{PREFIX}mlp.up_proj.weight']
  refused(write(arrays), rf'no array {PREFIX}mlp.up_proj.weight.*\[48, 32\]')


def test_a_misshapen_array_is_named(folder):
  _, arrays, _, write = folder
  arrays[f'{PREFIX}self_attn.k_proj.weight'] = np.zeros((15, 32), np.float32)
  refused(write(arrays), r'k_proj.weight has shape \[15, 32\].*\[16, 32\]')


def test_an_extra_array_is_named(folder):
  _, arrays, _, write = folder
  arrays[f'{PREFIX}self_attn.q_norm.weight'] = np.zeros(8, np.float32)
  refused(write(arrays), r'q_norm.weight is an array.*no place')


def test_an_array_of_integers_is_named(folder):
  _, arrays, _, write = folder
  arrays['model.norm.weight'] = np.zeros(32, np.int8)
  refused(write(arrays), 'model.norm.weight has the type I8')


def test_rotary_buffers_of_old_folders_are_no_weights(folder):
  _, arrays, _, write = folder
  arrays[f'{PREFIX}self_attn.rotary_emb.inv_freq'] = np.ones(4, np.float32)
  load_folder(write(arrays))


def test_a_stored_head_must_be_the_embedding_where_it_is_tied(folder):
  _, arrays, settings, write = folder
  settings['tie_word_embeddings'] = True
  refused(write(arrays, settings), 'lm_head.weight is not the embedding')
  arrays['lm_head.weight'] = arrays['model.embed_tokens.weight']
  assert load_folder(write(arrays, settings)).config.tied


@pytest.mark.parametrize('cut', [4, 100, -3])
def test_a_damaged_file_is_named(folder, cut):
  path, *_ = folder
  file = path / 'model.safetensors'
  file.write_bytes(file.read_bytes()[:cut])
  refused(path, 'model.safetensors: no safetensors file, or a damaged one')


def test_a_corrupt_header_is_an_error(folder):
  path, *_ = folder
  file = path / 'model.safetensors'
  file.write_bytes(b'\xff' * 16 + file.read_bytes()[16:])
  refused(path, 'damaged.*download it again')


def test_pickles_are_refused_and_not_opened(folder):
  path, *_ = folder
  (path / 'model.safetensors').unlink()
  (path / 'pytorch_model.bin').write_bytes(pickle.dumps({}))
  refused(path, 'pytorch_model.bin: pickles can run code')


def test_a_folder_without_weights_or_config_is_an_error(folder):
  path, *_ = folder
  (path / 'model.safetensors').unlink()
  refused(path, 'no model.safetensors and no model.safetensors.index.json')
  (path / 'config.json').unlink()
  refused(path, 'config.json: no such file')
  (path / 'config.json').write_text('{"model_type": ')
  refused(path, 'config.json: wanted JSON')


def test_an_index_names_files_of_its_folder_that_are_there(folder):
  path, *_ = folder
  index = path / 'model.safetensors.index.json'
  for name, message in (
    ('gone.safetensors', 'gone.safetensors: named in'),
    ('../model.safetensors', 'outside the folder'),
    ('/etc/model.safetensors', 'outside the folder'),
  ):
    index.write_text(json.dumps({'weight_map': {'model.norm.weight': name}}))
    refused(path, message)
  index.write_text('{}')
  refused(path, 'wanted a weight_map')


def test_an_array_in_two_files_is_an_error(folder):
  path, arrays, _, write = folder
  write(
    {'model.norm.weight': arrays['model.norm.weight']}, name='b.safetensors'
  )
  places = {'a': 'model.safetensors', 'model.norm.weight': 'b.safetensors'}
  index = path / 'model.safetensors.index.json'
  index.write_text(json.dumps({'weight_map': places}))
  refused(path, 'model.norm.weight is in two files')


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'model_type': 'bert'}, "unknown architecture 'bert'.*llama.*gpt2"),
    (
      {'architectures': ['LlamaForTokenClassification']},
      "unknown architecture 'LlamaForTokenClassification'.*LlamaForCausalLM",
    ),
    ({'hidden_act': 'relu'}, "hidden_act 'relu' is not known.*silu"),
    (
      {'rope_parameters': {'rope_type': 'yarn', 'factor': 4.0}},
      "rotary scaling 'yarn'.*linear or llama3",
    ),
    ({'rope_parameters': {'rope_type': 'linear'}}, 'has no factor'),
    (
      {'rope_parameters': {'rope_type': 'llama3', 'factor': 4.0}},
      'has no high_freq_factor',
    ),
    ({'rope_parameters': {'full_attention': {}}}, 'differ between layers'),
    ({'quantization_config': {'bits': 4}}, 'quantization_config'),
    ({'num_key_value_heads': 3}, 'n_heads 4 is not a multiple'),
    ({'num_attention_heads': 0, 'head_dim': None}, 'config.json: '),
  ],
)
def test_a_config_that_cannot_be_had_says_why(folder, change, message):
  *_, settings, write = folder
  refused(write(None, settings | change), message)


def test_a_config_without_a_size_is_an_error(folder):
  *_, settings, write = folder
  del settings['hidden_size']
  refused(write(None, settings), "config.json has no 'hidden_size'")


def test_two_labels_are_no_preference_model(folder):
  _, arrays, settings, write = folder
  settings['architectures'] = ['LlamaForSequenceClassification']
  del arrays['lm_head.weight']
  refused(write(arrays, settings), r'no array score.weight of shape \[1, 32\]')
  arrays['score.weight'] = np.zeros((2, 32), np.float32)
  refused(write(arrays, settings), r'score.weight has shape \[2, 32\]')


def test_without_safetensors_the_extra_is_named(folder, monkeypatch):
  found = importlib.import_module

  def without(name, *args):
    if name.startswith('safetensors'):
      raise ImportError(name)
    return found(name, *args)

  monkeypatch.setattr(importlib, 'import_module', without)
  monkeypatch.setattr(builtins, 'open', None)  # nothing else is tried
  refused(folder[0], r'safetensors is missing: pip install "rlhf-jax\[hf\]"')


def test_both_spellings_of_rotary_angles_mean_the_same(imported):
  """rope_theta and rope_scaling, or rope_parameters of transformers 5."""
  settings = imported('llama').settings
  rope = settings['rope_parameters']
  old = {k: v for k, v in settings.items() if k != 'rope_parameters'}
  old |= {'rope_theta': rope['rope_theta']}
  scaling = {k: v for k, v in rope.items() if k != 'rope_theta'}
  assert config_of(old | {'rope_scaling': scaling}) == config_of(settings)
  linear = {'type': 'linear', 'factor': 2}
  found = config_of(old | {'rope_theta': 5e5, 'rope_scaling': linear})
  assert found.rope_scaling == RopeScaling('linear', 2.0)
  assert found.rope_theta == 5e5

  settings = imported('gpt_neox').settings
  old = {k: v for k, v in settings.items() if k != 'rope_parameters'}
  old |= {'rotary_pct': 0.5, 'rotary_emb_base': 1000}
  assert (config_of(old).rotary_size, config_of(old).rope_theta) == (4, 1e3)


def test_settings_left_out_mean_what_transformers_takes():
  sizes = dict(
    vocab_size=9,
    hidden_size=32,
    intermediate_size=8,
    num_hidden_layers=1,
    num_attention_heads=8,
  )
  import transformers

  for kind, left in (
    ('LlamaConfig', {}),
    ('MistralConfig', {}),
    ('Qwen2Config', {'num_key_value_heads': 8}),
    ('Qwen3Config', {'num_key_value_heads': 8}),
    ('GPTNeoXConfig', {}),
    ('ArceeConfig', {'hidden_act': 'gelu'}),
  ):
    full = getattr(transformers, kind)(**sizes, **left).to_dict()
    short = sizes | left | {'model_type': full['model_type']}
    assert config_of(short) == config_of(full), kind
