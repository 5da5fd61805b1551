"""Wrong types and impossible numbers in a folder: one line that names them."""

import json
import time

import pytest
from safetensors.numpy import load_file, save_file

from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.pretrained.placing import PretrainedError
from rlhf_jax.models.pretrained.settings import config_of

NAN, INF = float('nan'), float('inf')
SIZES = (
  'vocab_size',
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'head_dim',
  'max_position_embeddings',
)
WRONG = [
  *(
    (key, x) for key in SIZES for x in ('8', 0, -1, 8.5, True, [8], 2**40, NAN)
  ),
  *(
    ('rms_norm_eps', x) for x in (NAN, INF, -1, 0, '1e-6', None, True, 10**400)
  ),
  *(('rope_theta', x) for x in (0, -1, NAN, INF, '1e4', None, [1e4])),
  *(('tie_word_embeddings', x) for x in ('false', 1, None, [])),
  *(('attention_bias', x) for x in ('true', 0, None)),
  *(('hidden_act', x) for x in (None, 3, ['silu'], {'name': 'silu'})),
  *(('architectures', x) for x in ('LlamaForCausalLM', [3], {'a': 1}, 7)),
  *(('model_type', x) for x in (['llama'], None, 3, {})),
]


@pytest.fixture(scope='module')
def settings(imported):
  found = dict(imported('llama').settings)
  return {k: v for k, v in found.items() if not k.startswith('rope')}


@pytest.mark.parametrize(('key', 'value'), WRONG)
def test_a_wrong_value_is_one_line_that_names_it(settings, key, value):
  with pytest.raises(PretrainedError, match='^config.json: .*') as error:
    config_of(settings | {key: value})
  message = str(error.value)
  assert '\n' not in message and len(message) < 300
  assert (
    key in message
    or key.removesuffix('s') in message
    or key
    in (
      'model_type',
      'architectures',
    )
  )


@pytest.mark.parametrize(
  ('key', 'value'),
  [('num_key_value_heads', None), ('head_dim', None), ('architectures', None)],
)
def test_null_means_the_default_where_transformers_takes_it_so(
  settings, key, value
):
  without = {k: v for k, v in settings.items() if k != key}
  assert config_of(settings | {key: value}) == config_of(without)


def test_a_file_that_holds_no_object_is_one_line():
  for found in ([], 3, None, 'llama'):
    with pytest.raises(PretrainedError, match='wanted a JSON object'):
      config_of(found)


@pytest.fixture
def folder(imported, tmp_path):
  source = imported('llama')
  save_file(
    load_file(source.path / 'model.safetensors'),
    tmp_path / 'model.safetensors',
  )
  return tmp_path, source.settings


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'num_hidden_layers': 10**4}, 'speaks of 10000 layers'),
    ({'num_hidden_layers': 2**31 - 1}, 'speaks of 2147483647 layers'),
    ({'vocab_size': 2**31 - 1}, 'speaks of 2147483647 tokens'),
    ({'hidden_size': 2**30}, 'speaks of 1073741824 features,'),
    ({'intermediate_size': 2**30}, 'features of the MLP'),
    ({'head_dim': 2**30, 'rope_parameters': None}, 'features of all heads'),
  ],
)
def test_a_number_beyond_the_file_is_refused_before_any_loop(
  folder, change, message
):
  path, settings = folder
  (path / 'config.json').write_text(json.dumps(settings | change))
  start = time.perf_counter()
  with pytest.raises(PretrainedError, match=message):
    load_folder(path)
  assert time.perf_counter() - start < 2  # tracing 10,000 layers took minutes


@pytest.mark.parametrize('name', [3, None, ['a'], {}, '', 'a\0b'])
def test_an_index_with_a_wrong_file_name_is_one_line(folder, name):
  path, settings = folder
  (path / 'config.json').write_text(json.dumps(settings))
  index = {'weight_map': {'model.norm.weight': name}}
  (path / 'model.safetensors.index.json').write_text(json.dumps(index))
  with pytest.raises(PretrainedError, match='wanted the name of a file for'):
    load_folder(path)


def test_a_file_of_a_thousand_brackets_is_one_line(folder):
  path, _ = folder
  (path / 'config.json').write_text('[' * 100_000)
  with pytest.raises(
    PretrainedError, match='config.json: wanted JSON'
  ) as error:
    load_folder(path)
  assert '\n' not in str(error.value)
