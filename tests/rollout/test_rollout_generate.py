"""The sampler's loop on a bigram model: stops, pads, keys, compilations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rollout_bigram as bigram

from rlhf_jax.losses import masked, ppo
from rlhf_jax.rollout.generate import (
  SamplingConfig,
  make_collect,
  make_generate,
)
from rlhf_jax.train import ledger

V, P, R = 8, 4, 6
CONFIG = SamplingConfig(max_reply=R, stop_ids=(2, 5), pad_id=0)
RNG = jax.random.key(3)
TABLE_VV = bigram.random_table(V)
PROMPTS = bigram.prompts_of(
  [[3], [1, 4], [7, 7, 6, 3], [0, 2, 1]] * 4, P, first_row=20
)


def sampler(**changes):
  return jax.jit(
    make_generate(
      bigram.prefill_fn, bigram.decode_fn, CONFIG._replace(**changes)
    )
  )


@pytest.fixture(scope='module')
def generate():
  return sampler()


def real(rollout):
  """What a rollout says apart from its pads."""
  real_BT = masked.length_mask(rollout.length_B, rollout.tokens_BT.shape[1]) > 0
  return rollout._replace(tokens_BT=np.where(real_BT, rollout.tokens_BT, -1))


def assert_equal(first, second):
  jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize('pad_id', [5, 7])
def test_the_pad_id_may_be_any_id(generate, pad_id):
  """Equal to an end token, or to an ordinary one (checklist 1)."""
  first = generate(TABLE_VV, PROMPTS, RNG)
  second = sampler(pad_id=pad_id)(TABLE_VV, PROMPTS, RNG)
  assert_equal(real(first), real(second))
  past_BT = np.asarray(real(second).tokens_BT) == -1
  assert past_BT.any()
  assert np.all(np.asarray(second.tokens_BT)[past_BT] == pad_id)


def test_every_stop_ends_a_reply_and_only_those_are_not_penalised(generate):
  """Truncation and penalty see one set of stops (checklist 11)."""
  table_VV = bigram.chain(V, {1: 3, 3: 2, 4: 5, 6: 7, 7: 6})
  prompts = bigram.prompts_of([[1], [4], [6], [3]], P)
  rollout = generate(table_VV, prompts, RNG)
  replies = [
    list(row[p:n])
    for row, p, n in zip(
      np.asarray(rollout.tokens_BT),
      rollout.prompt_length_B,
      rollout.length_B,
      strict=True,
    )
  ]
  assert replies == [[3, 2], [5], [7, 6, 7, 6, 7, 6], [2]]
  score_B = ppo.truncation_adjusted(np.zeros(4), rollout.ended_B, 1.0)
  assert list(score_B) == [0.0, 0.0, -1.0, 0.0]


def test_one_stop_id_leaves_the_others_ordinary():
  """Two of two stop ids matter: without 2 the chain goes on (checklist 11)."""
  table_VV = bigram.chain(V, {1: 2, 2: 5})
  rollout = sampler(stop_ids=(5,))(
    table_VV, bigram.prompts_of([[1]] * 16, P), RNG
  )
  assert list(rollout.tokens_BT[0, :3]) == [1, 2, 5]
  assert np.all(np.asarray(rollout.length_B) == 3)


def test_a_prompt_may_contain_stops(generate):
  """A stop in the prompt ends nothing (checklist 11)."""
  table_VV = bigram.chain(V, {2: 3, 3: 5})
  rollout = generate(table_VV, bigram.prompts_of([[5, 1, 2]] * 4, P), RNG)
  assert list(rollout.tokens_BT[0, :5]) == [5, 1, 2, 3, 5]
  assert np.asarray(rollout.ended_B).all()


def test_leaving_early_equals_running_to_the_cap(generate):
  """while_loop and fixed length, to the bit (checklist 39)."""
  to_the_cap = sampler(early_stop=False)
  for table_VV in (TABLE_VV, bigram.chain(V, {i: 2 for i in range(V)})):
    first = generate(table_VV, PROMPTS, RNG)
    second = to_the_cap(table_VV, PROMPTS, RNG)
    assert_equal(first, second)


def test_a_row_depends_on_the_key_and_its_name_alone(generate):
  """Other batch size, other place, other companions (checklist 41)."""
  whole = generate(TABLE_VV, PROMPTS, RNG)
  part = np.array([9, 2, 5])
  alone = generate(TABLE_VV, type(PROMPTS)(*(x[part] for x in PROMPTS)), RNG)
  assert_equal(jax.tree.map(lambda x: x[part], whole), alone)
  renamed = PROMPTS._replace(row_B=PROMPTS.row_B + 100)
  other = generate(TABLE_VV, renamed, RNG)
  assert np.any(np.asarray(other.tokens_BT) != np.asarray(whole.tokens_BT))


def test_equal_prompts_with_other_names_get_other_replies(generate):
  """Rows share no key (checklist 40, 41)."""
  rollout = generate(TABLE_VV, bigram.prompts_of([[3]] * 16, P), RNG)
  assert len({tuple(row) for row in np.asarray(rollout.tokens_BT)}) > 8


def test_one_prompt_many_times_in_a_batch_gets_many_replies(generate):
  """An epoch may end inside a batch: the k-th time has a key of its own."""
  same = bigram.prompts_of([[3]] * 16, P)._replace(row_B=np.full(16, 7))
  tokens_BT = np.asarray(generate(TABLE_VV, same, RNG).tokens_BT)
  assert len({tuple(row) for row in tokens_BT}) > 8
  # The k-th reply is the same in any batch, whoever stands between.
  few = jax.tree.map(lambda x: x[:3], same)
  np.testing.assert_array_equal(
    generate(TABLE_VV, few, RNG).tokens_BT, tokens_BT[:3]
  )
  mixed = bigram.prompts_of([[3]] * 6, P)
  mixed = mixed._replace(row_B=np.array([7, 90, 7, 91, 92, 7]))
  found = np.asarray(generate(TABLE_VV, mixed, RNG).tokens_BT)
  np.testing.assert_array_equal(found[[0, 2, 5]], tokens_BT[:3])


def test_a_longer_cap_only_adds_tokens(generate):
  """Token t depends on (rng, row, t), not on the cap."""
  full = generate(TABLE_VV, PROMPTS, RNG)
  short = sampler(max_reply=3)(TABLE_VV, PROMPTS, RNG)
  cut_B = np.minimum(full.length_B, full.prompt_length_B + 3)
  np.testing.assert_array_equal(short.length_B, cut_B)
  for b, n in enumerate(cut_B):
    assert list(short.tokens_BT[b, :n]) == list(full.tokens_BT[b, :n])


def test_logits_of_16_bits_are_those_numbers_in_float32(generate):
  """A decode_fn may return bfloat16, as its products do."""

  def decode_fn(table_VV, token_B, position_B, cache):
    logits_BV, cache = bigram.decode_fn(table_VV, token_B, position_B, cache)
    return logits_BV.astype(jnp.bfloat16), cache

  rounded_VV = TABLE_VV.astype(jnp.bfloat16).astype(np.float32)
  narrow = jax.jit(make_generate(bigram.prefill_fn, decode_fn, CONFIG))
  rollout = narrow(rounded_VV, PROMPTS, RNG)
  assert rollout.logp_BT.dtype == jnp.float32
  assert_equal(rollout, generate(rounded_VV, PROMPTS, RNG))


def test_five_iterations_of_other_lengths_compile_once():
  """Ledger and jit cache agree (checklist 42)."""

  def generate_for_the_ledger(params, prompts, rng):
    config = CONFIG._replace(temperature=0.9)
    return make_generate(bigram.prefill_fn, bigram.decode_fn, config)(
      params, prompts, rng
    )

  step = jax.jit(generate_for_the_ledger)
  draw = np.random.default_rng(0)
  with ledger.no_more_than(1, 'generate_for_the_ledger'):
    for i in range(5):
      rows = [[3] * draw.integers(1, P + 1) for _ in range(8)]
      prompts = bigram.prompts_of(rows, P, first_row=8 * i)
      step(TABLE_VV * (1 + i), prompts, jax.random.fold_in(RNG, i))
  assert step._cache_size() == 1
  assert ledger.count('generate_for_the_ledger') == 1
  with pytest.raises(RuntimeError, match='compiled 1 times'):
    with ledger.no_more_than(0, 'generate_for_the_ledger'):
      step(TABLE_VV, bigram.prompts_of([[3]] * 9, P), RNG)


def test_collect_takes_a_cache_or_logits(generate):
  expected = generate(TABLE_VV, PROMPTS, RNG)
  cached = make_collect(
    CONFIG, prefill_fn=bigram.prefill_fn, decode_fn=bigram.decode_fn
  )
  plain = make_collect(CONFIG, logits_fn=bigram.logits_fn)
  assert_equal(jax.jit(cached)(TABLE_VV, PROMPTS, RNG), expected)
  assert_equal(jax.jit(plain)(TABLE_VV, PROMPTS, RNG), expected)
  with pytest.raises(ValueError, match='got none'):
    make_collect(CONFIG, prefill_fn=bigram.prefill_fn)


def test_greedy_takes_the_mode_at_any_key():
  greedy = sampler(greedy=True)
  first = greedy(TABLE_VV, PROMPTS, RNG)
  assert_equal(first, greedy(TABLE_VV, PROMPTS, jax.random.key(9)))
  p = PROMPTS.length_B
  last_B = PROMPTS.tokens_BP[np.arange(16), p - 1]
  expected_B = TABLE_VV[last_B].argmax(-1)
  np.testing.assert_array_equal(
    np.asarray(first.tokens_BT)[np.arange(16), p], expected_B
  )


def test_defaults_are_the_papers():
  """Temperature 1, no top-k, no top-p (checklist 38)."""
  config = SamplingConfig(max_reply=1, stop_ids=(1,), pad_id=0)
  assert (config.temperature, config.top_k, config.top_p) == (1.0, 0, 1.0)
  assert not config.greedy
