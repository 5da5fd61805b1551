"""Steps with logits in chunks, of replies alone, or of packed rows."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.data.packing import pack
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.train import ppo, ppo_update
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import (
  init_state,
  make_lm_step,
  make_pm_step,
  make_ranking_step,
)
from rlhf_jax.types import (
  CandidateBatch,
  Experience,
  LMBatch,
  LMHyper,
  PairBatch,
  PMHyper,
  Rollout,
  SplitModel,
)

pytestmark = pytest.mark.slow  # compiles at full width

RNG = jax.random.key(0)
B, P, R, V = 4, 5, 3, 12
TEMPERATURE = 0.7
CHUNKS = [None, 2, 5]


@pytest.fixture(scope='module')
def rollout():
  """Made-up replies of 1 to 3 tokens to prompts of 1 to 5."""
  rng = np.random.default_rng(0)
  prompt_length_B = np.int32([5, 1, 3, 4])
  rollout = Rollout(
    tokens_BT=np.int32(rng.integers(0, V, (B, P + R))),
    prompt_length_B=prompt_length_B,
    length_B=prompt_length_B + np.int32([3, 1, 2, 3]),
    ended_B=np.array([False, True, True, True]),
    logp_BT=np.float32(-rng.exponential(2.0, (B, P + R))),
  )
  mask_BT = np.asarray(fixture.mask_of(rollout))
  return rollout._replace(logp_BT=rollout.logp_BT * mask_BT)


@pytest.fixture(scope='module')
def experience(rollout):
  rng = np.random.default_rng(1)
  noise = np.float32(rng.normal(0, 1, (3, B, P + R)))
  noise *= np.asarray(fixture.mask_of(rollout))
  return Experience(*rollout[:3], rollout.logp_BT, *noise)


def penalised(ref_fn, params, rollout, **options):
  penalise = ppo.make_penalise(ref_fn, temperature=TEMPERATURE, **options)
  hyper = fixture.hyper(kl_coef=0.3)
  run = lambda params: penalise(params, rollout, jnp.ones(B), hyper)
  return jax.jit(run)(params)


@pytest.mark.parametrize('chunk', CHUNKS)
def test_the_penalty_is_that_of_all_logits(model, model_params, rollout, chunk):
  """In microbatches too (checklist 47)."""
  split = SplitModel(model.hidden_fn, model.head_fn, chunk)
  expected = penalised(model.logits_fn, model_params, rollout)
  got = penalised(split, model_params, rollout, max_reply=R, microbatches=2)
  assert np.abs(expected[1]).max() > 0.1
  fixture.assert_close(got, expected, atol=1e-5)


def updated(joint, params, experience, max_reply=None):
  """(parameters after two minibatches of plain descent, metrics)."""
  tx = optax.identity()
  update = ppo_update.make_ppo_update(
    joint,
    tx,
    passes=1,
    minibatch_size=2,
    temperature=TEMPERATURE,
    max_reply=max_reply,
  )
  run = lambda state: update(state, experience, RNG, fixture.hyper(0.1))
  state, metrics = jax.jit(run)(init_state(params, tx))
  return state.params, metrics


@pytest.mark.parametrize('chunk', CHUNKS)
def test_the_update_is_that_of_all_logits(
  model, model_params, experience, chunk
):
  """Parameters and metrics, networks of their own (checklist 47)."""
  params = {'policy': model_params, 'value': model_params}
  dense = ppo_update.separate(model.logits_fn, model.value_fn)
  split = SplitModel(model.hidden_fn, model.head_fn, chunk)
  expected = updated(dense, params, experience)
  joint = ppo_update.separate(split, model.value_fn)
  assert np.all(np.asarray(expected[1]['grad_norm']) > 0.01)
  got = updated(joint, params, experience, max_reply=R)
  fixture.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_the_update_of_a_shared_trunk_is_that_of_all_logits(
  model, model_params, experience
):
  joint = SplitModel(model.hidden_and_value_fn, model.head_fn, 2)
  expected = updated(model.logits_and_value_fn, model_params, experience)
  got = updated(joint, model_params, experience, max_reply=R)
  fixture.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_a_plain_logits_function_may_score_replies_alone(experience):
  """A stranger's model, without a head of its own."""
  params = fixture.bigram_params(0, size=V)
  joint = ppo_update.separate(fixture.bigram_logits, fixture.bigram_value)
  expected = updated(joint, params, experience)
  got = updated(joint, params, experience, max_reply=R)
  fixture.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def lm_stepped(logits_fn, params, batch, **options):
  """(parameters after one step of plain descent, metrics)."""
  tx = optax.identity()
  step = jax.jit(make_lm_step(logits_fn, tx, **options))
  state, metrics = step(init_state(params, tx), batch, RNG, LMHyper(0.1))
  return state.params, metrics


@pytest.fixture(scope='module')
def texts():
  rng = np.random.default_rng(5)
  return [np.int32(rng.integers(0, V, n)) for n in (8, 3, 5, 1, 2, 4, 7, 2)]


@pytest.fixture(scope='module')
def padded(texts):
  """One text a row; some learn from their third token on."""
  tokens_BT = np.zeros((8, 8), np.int32)
  for b, text in enumerate(texts):
    tokens_BT[b, : len(text)] = text
  length_B = np.int32([len(text) for text in texts])
  return LMBatch(tokens_BT, length_B, np.int32([0, 0, 2] * 3)[:8])


@pytest.fixture(scope='module')
def lm_expected(model, model_params, padded):
  params = {'trunk': model_params['trunk']}
  return lm_stepped(model.logits_fn, params, padded)


@pytest.mark.parametrize('chunk', [1, 3, 100])
def test_an_lm_step_in_chunks_is_that_of_all_logits(
  model, model_params, padded, lm_expected, chunk
):
  """With ragged rows in two microbatches too (checklist 47, 67)."""
  params = {'trunk': model_params['trunk']}
  split = SplitModel(model.hidden_fn, model.head_fn, chunk)
  got = lm_stepped(split, params, padded, microbatches=2)
  assert float(lm_expected[1]['grad_norm']) > 0.01
  fixture.assert_close(got, lm_expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('chunk', [None, 3])
def test_an_lm_step_on_packed_rows_is_that_on_the_texts(
  model, model_params, texts, padded, lm_expected, chunk
):
  """Eight texts in four rows: the same loss and gradient."""
  params = {'trunk': model_params['trunk']}
  packed = pack(texts, 8, loss_starts=padded.loss_start_B, pad_id=7)
  assert packed.tokens_BT.shape == (4, 8)
  split = SplitModel(model.hidden_fn, model.head_fn, chunk)
  got = lm_stepped(split, params, packed, packed=True)
  fixture.assert_close(got, lm_expected, rtol=1e-5, atol=1e-6)


def float_types(tree):
  """Types of the floating-point leaves."""
  types = {x.dtype for x in jax.tree.leaves(tree)}
  return {t.name for t in types if jnp.issubdtype(t, jnp.floating)}


@pytest.mark.parametrize('loss', ['pairs', 'kwise'])
def test_a_preference_model_with_a_bfloat16_body_has_float32_scores_and_losses(
  loss,
):
  """Of pairs and of rankings; nothing is run (checklist 26)."""
  model = build(TransformerConfig(V, 1, 16, 2, dtype='bfloat16'))
  tx = make_optimiser()
  init = lambda rng: init_state(
    model.init(rng) | {'head': model.init_head(rng)}, tx
  )
  state = jax.eval_shape(init, RNG)
  ids, lengths = np.zeros((B, 5), np.int32), np.full(B, 5, np.int32)
  rows = state.params, ids, lengths
  assert 'bf16' in str(jax.make_jaxpr(model.score_fn)(*rows))
  score = jax.eval_shape(model.score_fn, *rows)
  assert score.dtype == jnp.float32
  if loss == 'pairs':
    step = make_pm_step(model.score_fn, tx)
    batch = PairBatch(ids, lengths, ids, lengths)
  else:
    columns = lambda batch: zip(
      batch.tokens_BCT.swapaxes(0, 1), batch.length_BC.T, strict=True
    )
    scores = lambda params, batch: jnp.stack(
      [model.score_fn(params, *rows) for rows in columns(batch)], 1
    )
    step = make_ranking_step(scores, tx)
    ranks = np.tile(np.arange(3, dtype=np.int32), (B, 1))
    batch = CandidateBatch(
      np.stack([ids] * 3, 1), np.stack([lengths] * 3, 1), ranks
    )
  after = jax.eval_shape(step, state, batch, RNG, PMHyper(0.1))
  assert float_types(after) == {'float32'}
  assert {'loss', 'accuracy'} <= set(after[1])


@pytest.mark.parametrize('chunk', CHUNKS)
def test_with_a_bfloat16_body_all_state_and_losses_stay_float32(
  padded, experience, chunk
):
  """Parameters, moments, losses; nothing is run (checklist 26)."""
  model = build(TransformerConfig(V, 1, 16, 2, dtype='bfloat16'))
  split = SplitModel(model.hidden_fn, model.head_fn, chunk)
  tx = make_optimiser()
  step = make_lm_step(split, tx)
  init = lambda rng: init_state(model.init(rng), tx)
  state = jax.eval_shape(init, RNG)
  after = jax.eval_shape(step, state, padded, RNG, LMHyper(0.1))
  assert float_types(after) == {'float32'}
  update = ppo_update.make_ppo_update(
    ppo_update.separate(split, model.value_fn),
    tx,
    passes=1,
    minibatch_size=B,
    max_reply=R,
  )

  def init_both(rng):
    value = model.init(rng) | {'head': model.init_head(rng)}
    return init_state({'policy': model.init(rng), 'value': value}, tx)

  state = jax.eval_shape(init_both, RNG)
  after = jax.eval_shape(update, state, experience, RNG, fixture.hyper())
  assert float_types(after) == {'float32'}
  logits_BTV = jax.eval_shape(
    split.head_fn,
    state.params['policy'],
    jax.ShapeDtypeStruct((B, 2, 16), jnp.bfloat16),
  )
  assert logits_BTV.dtype == jnp.float32
