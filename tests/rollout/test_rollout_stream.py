import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.stream import bucket, make_rows_stream, make_stream
from rlhf_jax.types import Prompts

V, R = 23, 12
IDS = [5, 1, 7, 2]


@pytest.fixture(scope='module')
def model():
  config = TransformerConfig(vocab_size=V, n_layers=1, d_model=16, n_heads=2)
  functions = build(config)
  return functions, functions.init(jax.random.key(3))


def sampler(functions, config):
  """(params, seed) -> tokens of the reply to IDS, by the sampler of rows."""
  collect = jax.jit(
    make_collect(
      config, prefill_fn=functions.prefill_fn, decode_fn=functions.decode_fn
    )
  )
  rows = Prompts(
    jnp.array([IDS]), jnp.array([len(IDS)]), jnp.zeros(1, jnp.int32)
  )

  def sampled(params, seed):
    rollout = jax.device_get(collect(params, rows, jax.random.key(seed)))
    return rollout.tokens_BT[0, len(IDS) : rollout.length_B[0]].tolist()

  return sampled


@pytest.mark.parametrize(
  ('stops', 'greedy'),
  [
    ((), True),
    (tuple(range(4)), False),
    pytest.param((), False, marks=pytest.mark.slow),
    pytest.param(tuple(range(4)), True, marks=pytest.mark.slow),
  ],
)
def test_the_stream_is_what_the_sampler_samples(model, greedy, stops):
  """One sampler: the same keys give the same tokens (checklist 35, 41)."""
  functions, params = model
  config = SamplingConfig(R, stops, pad_id=0, temperature=0.8, greedy=greedy)
  stream = make_stream(functions.prefill_fn, functions.decode_fn, config)
  sampled = sampler(functions, config)
  for seed in range(1 if greedy else 4):
    got = list(stream(params, IDS, jax.random.key(seed)))
    assert got == sampled(params, seed)
    assert 1 <= len(got) <= R and not set(got[:-1]) & set(stops)


def test_a_token_is_handed_out_before_the_next_is_computed(model):
  functions, params = model
  seen = []

  def decode_fn(params, token_B, position_B, cache):
    jax.debug.callback(lambda t: seen.append(int(t)), token_B[0])
    return functions.decode_fn(params, token_B, position_B, cache)

  config = SamplingConfig(R, (), pad_id=0, greedy=True)
  stream = make_stream(functions.prefill_fn, decode_fn, config)
  tokens = stream(params, IDS, jax.random.key(0))
  first = next(tokens)
  assert seen == []
  second = next(tokens)
  jax.effects_barrier()
  assert seen == [first]
  next(tokens)
  jax.effects_barrier()
  assert seen == [first, second]


def test_prompts_of_a_bucket_share_their_programs(model):
  """Two programs for prompts of 3 and of 60 tokens (checklist 42)."""
  functions, params = model
  traced = []

  def decode_fn(*args):
    traced.append(args[3].valid_BS.shape)
    return functions.decode_fn(*args)

  config = SamplingConfig(R, (), pad_id=0, greedy=True)
  stream = make_stream(functions.prefill_fn, decode_fn, config)
  for length in (3, 40, 60, 3):
    list(stream(params, np.arange(length) % V, jax.random.key(0)))
  assert traced == [(1, 128)]


def test_a_prompt_is_one_row(model):
  functions, params = model
  shapes = []

  def prefill_fn(params, tokens_BP, length_B, slots):
    shapes.append((tokens_BP.shape, length_B.shape, slots))
    return functions.prefill_fn(params, tokens_BP, length_B, slots)

  config = SamplingConfig(R, (), pad_id=0, greedy=True)
  stream = make_stream(prefill_fn, functions.decode_fn, config)
  next(stream(params, IDS, jax.random.key(0)))
  assert shapes == [((1, 64), (1,), 128)]


def test_a_bucket_is_the_least_that_holds_the_size():
  assert [bucket(n) for n in (0, 1, 64, 65, 128, 129)] == [
    64, 64, 64, 128, 128, 256
  ]  # fmt: skip


def test_rows_stream_as_the_sampler_samples_them(model):
  """Columns of the same tokens; after a row's end, pads."""
  functions, params = model
  config = SamplingConfig(R, tuple(range(4)), pad_id=22)
  rows = Prompts(
    np.array([[5, 6, 7, 2], [8, 9, 0, 0], [5, 6, 7, 2]], np.int32),
    np.array([4, 2, 4], np.int32),
    np.array([3, 2**31 - 1, 0], np.int32),
  )
  pieces = functions.prefill_fn, functions.decode_fn
  collect = make_collect(config, prefill_fn=pieces[0], decode_fn=pieces[1])
  rollout = jax.device_get(jax.jit(collect)(params, rows, jax.random.key(1)))
  columns = list(
    make_rows_stream(*pieces, config)(params, rows, jax.random.key(1))
  )
  got_BR = np.stack(columns, 1)
  for b in range(3):
    start, end = rollout.prompt_length_B[b], rollout.length_B[b]
    own = rollout.tokens_BT[b, start:end].tolist()
    assert got_BR[b].tolist() == own + [22] * (len(columns) - len(own))
  assert len(columns) == (rollout.length_B - rollout.prompt_length_B).max()
