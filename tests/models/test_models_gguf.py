"""A tiny Llama through GGUF, against the arrays it was written from."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.gguf import load_gguf, tensor_name
from rlhf_jax.models.pretrained.llama_tree import half_rotation, llama_shapes
from rlhf_jax.models.pretrained.vocabulary import grow_vocabulary
from rlhf_jax.train.sharding import make_mesh, shardings_of
from tests.pretrained_files import need_or_skip

need_or_skip('gguf')
import gguf  # noqa: E402

CONFIG = TransformerConfig(
  vocab_size=32,
  n_layers=2,
  d_model=32,
  n_heads=4,
  n_kv_heads=2,
  d_mlp=64,
  max_length=128,
  activation='swiglu',
  embed_scale=1.0,
  rope_theta=5000.0,
)


def arrays_of(config):
  rng = np.random.default_rng(0)
  draw = lambda shape: rng.normal(size=shape).astype(np.float32) * 0.2
  return {key: draw(shape) for key, shape in llama_shapes(config).items()}


def add(writer, key, value):
  """Writes a key, in place of the one that is there."""
  writer.kv_data[0].pop(key, None)
  kinds = {str: 'string', bool: 'bool', int: 'uint32', float: 'float32'}
  kinds[list] = 'array'
  getattr(writer, f'add_{kinds[type(value)]}')(key, value)


def write(
  path,
  arrays,
  architecture='llama',
  quantise=(),
  skip=(),
  endianess=gguf.GGUFEndian.LITTLE,
  **keys,
):
  """Writes {(name, layer): array} as llama.cpp does."""
  writer = gguf.GGUFWriter(path, architecture, endianess=endianess)
  writer.add_block_count(2)
  writer.add_context_length(128)
  writer.add_embedding_length(32)
  writer.add_feed_forward_length(64)
  writer.add_head_count(4)
  writer.add_head_count_kv(2)
  writer.add_layer_norm_rms_eps(1e-5)
  writer.add_rope_freq_base(5000.0)
  writer.add_rope_dimension_count(8)
  for key, value in keys.items():
    add(writer, key.replace('__', '.'), value)
  for key, array in arrays.items():
    name = key if isinstance(key, str) else tensor_name(*key)
    if name in skip:
      continue
    if key[0] in quantise:
      kind = gguf.GGMLQuantizationType.Q8_0
      writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)
    else:
      writer.add_tensor(name, array)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return path


@pytest.fixture(scope='module')
def arrays():
  return arrays_of(CONFIG)


def kernels(params, layer):
  at = params['trunk'][f'layer_{layer}']
  qkv = np.asarray(at['attention']['qkv']['kernel'])
  return {
    'q': qkv[:, :32].T,
    'k': qkv[:, 32:48].T,
    'v': qkv[:, 48:].T,
    'out': np.asarray(at['attention']['out']['kernel']).T,
    'gate': np.asarray(at['mlp']['in']['kernel'])[:, :64].T,
    'up': np.asarray(at['mlp']['in']['kernel'])[:, 64:].T,
    'down': np.asarray(at['mlp']['out']['kernel']).T,
  }


def test_every_tensor_finds_its_place(arrays, tmp_path):
  model = load_gguf(write(tmp_path / 'a.gguf', arrays))
  assert model.config == CONFIG
  shapes = jax.eval_shape(build(CONFIG).init, jax.random.key(0))
  assert jax.tree.map(jnp.shape, model.params) == jax.tree.map(
    jnp.shape, shapes
  )
  for i in range(2):
    for name, found in kernels(model.params, i).items():
      wanted = arrays[name, i]
      if name in ('q', 'k'):
        wanted = half_rotation(wanted, {'q': 4, 'k': 2}[name])
      np.testing.assert_array_equal(found, wanted)
  trunk = model.params['trunk']
  np.testing.assert_array_equal(trunk['embed'], arrays['embed', None])
  scale = trunk['layer_1']['mlp_norm']['scale']
  np.testing.assert_array_equal(scale, arrays['mlp_norm', 1])


def test_tensors_are_placed_on_a_mesh_as_they_are_read(arrays, tmp_path):
  mesh = make_mesh(data=-1)
  placed = functools.partial(shardings_of, mesh=mesh)
  path = write(tmp_path / 'a.gguf', arrays)
  model = load_gguf(path, shardings_of=placed)
  one = load_gguf(path)
  assert jax.tree.map(lambda x: x.sharding, model.params) == placed(one.params)
  jax.tree.map(np.testing.assert_array_equal, model.params, one.params)


def test_half_rotation_turns_what_interleaved_pairs_turn():
  """Rotating pairs (2 i, 2 i + 1) is rotating (i, i + K / 2) after it."""
  rng = np.random.default_rng(1)
  heads, K = 3, 8
  x = rng.normal(size=(heads * K, 1))
  angle = rng.normal(size=K // 2)
  cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
  pairs = x.reshape(heads, K // 2, 2)
  a, b = pairs[..., :1], pairs[..., 1:]
  turned = np.concatenate([a * cos - b * sin, a * sin + b * cos], -1)
  halves = half_rotation(x, heads).reshape(heads, 2, K // 2, 1)
  a, b = halves[:, 0], halves[:, 1]
  expected = np.concatenate([a * cos - b * sin, a * sin + b * cos], 1)
  np.testing.assert_allclose(
    half_rotation(turned.reshape(-1, 1), heads).reshape(heads, K, 1), expected
  )


def test_quantised_tensors_are_close(arrays, tmp_path):
  path = write(tmp_path / 'q.gguf', arrays, quantise=('embed', 'down'))
  trunk = load_gguf(path).params['trunk']
  np.testing.assert_allclose(
    trunk['embed'], arrays['embed', None], atol=0.2 * 4 / 127
  )
  assert trunk['embed'].dtype == jnp.float32


def test_a_head_of_its_own_is_read(arrays, tmp_path):
  head = np.flip(arrays['embed', None]).copy()
  path = write(tmp_path / 'h.gguf', arrays | {('lm_head', None): head})
  model = load_gguf(path, dtype='bfloat16')
  assert not model.config.tied and model.config.dtype == 'bfloat16'
  np.testing.assert_array_equal(model.params['trunk']['lm_head'], head)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (dict(skip=('blk.1.ffn_up.weight',)), 'tensor blk.1.ffn_up.weight of'),
    (dict(extra={'blk.0.attn_q.bias': np.zeros(32, np.float32)}), 'attn_q.bi'),
    (
      dict(extra={('down', 0): np.zeros((32, 32), np.float32)}),
      r'blk.0.ffn_down.weight of shape \(32, 64\), got \(32, 32\)',
    ),
    (dict(architecture='mamba'), "architecture llama, got 'mamba'"),
    (dict(llama__rope__scaling__type='yarn'), "scaling, got 'yarn'"),
    (dict(llama__rope__scaling__factor=4.0), 'rope.scaling.factor is 4.0'),
    (dict(llama__rope__scale_linear=2.0), 'rope.scale_linear is 2.0'),
    (dict(llama__attention__sliding_window=3), 'sliding_window is 3'),
    (dict(llama__attention__causal=False), 'looks at later tokens'),
    (dict(llama__attention__head_count_kv=[2, 4]), r'same .*kv .*\[2, 4\]'),
    (dict(llama__attention__head_count_kv=[2]), 'in each of 2 layers'),
    (dict(llama__attention__head_count_kv='2'), "whole number .*got '2'"),
    (dict(llama__block_count=10**6), '1000000 layers, it holds 20 tensors'),
    (dict(llama__block_count=1.0), 'block_count to be a whole number'),
    (dict(llama__embedding_length=0), 'embedding_length to be a whole'),
    (dict(llama__attention__head_count=0), 'head_count to be a whole'),
    (dict(llama__rope__freq_base=0.0), 'freq_base to be a finite number'),
    (
      dict(llama__attention__layer_norm_rms_epsilon=float('nan')),
      'epsilon to be a finite number above 0, got nan',
    ),
  ],
)
def test_what_is_no_plain_llama_is_refused(arrays, tmp_path, change, message):
  extra = change.get('extra', {})
  rest = {k: v for k, v in change.items() if k != 'extra'}
  path = write(tmp_path / 'x.gguf', arrays | extra, **rest)
  with pytest.raises(ValueError, match=message) as caught:
    load_gguf(path)
  assert str(path) in str(caught.value) and '\n' not in str(caught.value)


def test_one_number_of_heads_may_be_written_for_each_layer(arrays, tmp_path):
  lists = dict(
    llama__attention__head_count_kv=[2, 2], llama__feed_forward_length=[64, 64]
  )
  model = load_gguf(write(tmp_path / 'a.gguf', arrays, **lists))
  assert model.config == CONFIG


def test_a_big_endian_file_is_refused_with_the_remedy(arrays, tmp_path):
  path = write(tmp_path / 'big.gguf', arrays, endianess=gguf.GGUFEndian.BIG)
  with pytest.raises(ValueError, match='big-endian.*gguf-convert-endian') as e:
    load_gguf(path)
  assert '\n' not in str(e.value) and str(path) in str(e.value)


def test_a_truncated_file_and_another_kind_of_file_are_refused(
  arrays, tmp_path
):
  data = write(tmp_path / 'a.gguf', arrays).read_bytes()
  for at in (10, 100, 1000, len(data) // 2, len(data) - 40):
    (tmp_path / 'cut.gguf').write_bytes(data[:at])
    with pytest.raises(ValueError, match='truncated or corrupt.*again'):
      load_gguf(tmp_path / 'cut.gguf')
  (tmp_path / 'x.gguf').write_bytes(b'\x80\x04' + data[2:])
  with pytest.raises(ValueError, match='wanted a GGUF file'):
    load_gguf(tmp_path / 'x.gguf')
  with pytest.raises(FileNotFoundError):
    load_gguf(tmp_path / 'none.gguf')


def test_a_tensor_of_a_type_that_nobody_reads_is_named(arrays, tmp_path):
  whole = arrays['final_norm', None].astype(np.int32)
  path = write(tmp_path / 'i.gguf', arrays | {('final_norm', None): whole})
  with pytest.raises(ValueError, match='output_norm.weight has the type I32'):
    load_gguf(path)


@pytest.mark.parametrize('tied', [True, False])
def test_a_grown_vocabulary_changes_no_other_logit(tied):
  config = TransformerConfig(
    vocab_size=11, n_layers=1, d_model=8, n_heads=2, tied=tied
  )
  params = jax.jit(build(config).init)(jax.random.key(0))
  params |= {'head': jnp.ones(2)}
  grown, more = grow_vocabulary(config, params, 3)
  assert grown.vocab_size == 14 and more['head'] is params['head']
  assert config.vocab_size == 11 and len(params['trunk']['embed']) == 11
  for name in ('embed',) if tied else ('embed', 'lm_head'):
    rows = np.asarray(params['trunk'][name])
    np.testing.assert_array_equal(more['trunk'][name][:11], rows)
    for row in more['trunk'][name][11:]:
      np.testing.assert_allclose(row, rows.mean(0), atol=1e-6)
  tokens_BT, length_B = jnp.array([[1, 5, 7]]), jnp.array([3])
  before = jax.jit(build(config).logits_fn)(params, tokens_BT, length_B)
  after = jax.jit(build(grown).logits_fn)(more, tokens_BT, length_B)
  np.testing.assert_allclose(after[..., :11], before, atol=1e-6)
  with pytest.raises(ValueError, match='0 new tokens or more, got -1'):
    grow_vocabulary(config, params, -1)
