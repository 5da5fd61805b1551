"""What saves memory changes no number: two halves, rematerialised blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models_twin import random_params

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig

pytestmark = pytest.mark.slow  # compiles at full width

FIELDS = dict(vocab_size=16, n_layers=2, d_model=16, n_heads=4, n_kv_heads=2)


def test_the_two_halves_compose_to_the_logits_bit_for_bit(tiny, batch):
  """Head after hidden states; any leading axes will do."""
  model = tiny.model
  hidden_BTD = jax.jit(model.hidden_fn)(tiny.params, *batch)
  head = jax.jit(model.head_fn)
  logits_BTV = np.asarray(tiny.logits(tiny.params, *batch))
  np.testing.assert_array_equal(head(tiny.params, hidden_BTD), logits_BTV)
  np.testing.assert_allclose(
    head(tiny.params, hidden_BTD[0, 3]), logits_BTV[0, 3], rtol=1e-5
  )


def test_hidden_states_and_values_in_one_pass(tiny, batch):
  both = jax.jit(tiny.model.hidden_and_value_fn)
  hidden_BTD, value_BT = both(tiny.params, *batch)
  expected_BTD = jax.jit(tiny.model.hidden_fn)(tiny.params, *batch)
  np.testing.assert_allclose(hidden_BTD, expected_BTD, atol=1e-6)
  expected_BT = tiny.value(tiny.params, *batch)
  np.testing.assert_allclose(value_BT, expected_BT, atol=1e-6)


def test_rematerialised_blocks_have_the_same_value_and_gradient(tiny, batch):
  def value_and_gradient(remat):
    model = build(TransformerConfig(**FIELDS, remat=remat))
    loss = lambda params: jnp.sin(model.logits_fn(params, *batch)).sum()
    program = str(jax.make_jaxpr(jax.grad(loss))(tiny.params))
    return jax.jit(jax.value_and_grad(loss))(tiny.params), program

  (value, grads), program = value_and_gradient(remat=True)
  (expected, expected_grads), plain = value_and_gradient(remat=False)
  assert 'remat' in program and 'remat' not in plain
  np.testing.assert_allclose(value, expected, rtol=1e-6)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5),
    grads,
    expected_grads,
  )


def test_rematerialised_blocks_have_the_same_names_and_decode(tiny, batch):
  """The checkpoint format does not know of it."""
  shapes = lambda remat: jax.eval_shape(
    build(TransformerConfig(**FIELDS, remat=remat)).init, jax.random.key(0)
  )
  assert shapes(True) == shapes(False)
  tokens_BT, length_B = batch

  def decoded(remat):
    model = build(TransformerConfig(**FIELDS, remat=remat))

    def run(params):
      _, cache = model.prefill_fn(params, tokens_BT, length_B, 12)
      return model.decode_fn(params, tokens_BT[:, 0], length_B, cache)[0]

    return jax.jit(run)(tiny.params)

  np.testing.assert_allclose(decoded(True), decoded(False), atol=1e-6)


def test_a_bfloat16_body_makes_no_new_ties_between_scores():
  """10,000 close pairs: none tie, save in bfloat16 (checklist 26).

  Compiled as outside of the tests: kernels without fusion, which the tests take
  elsewhere, round to bfloat16 between any two operations, and then two texts
  may have one body (1 of the 10,000 was seen).
  """
  fused = {
    'xla_backend_optimization_level': 3,
    'xla_cpu_use_fusion_emitters': True,
  }
  fields = dict(vocab_size=512, n_layers=1, d_model=16, n_heads=2)
  rng = np.random.default_rng(0)
  tokens_BT = rng.integers(0, 512, (20_000, 3)).astype(np.int32)
  length_B = np.full(20_000, 3, np.int32)
  scores = {}
  for dtype in ('float32', 'bfloat16'):
    model = build(TransformerConfig(**fields, dtype=dtype))
    params = random_params(model.init, seed=1)
    params['head'] = random_params(model.init_head, seed=2)
    score_fn = jax.jit(model.score_fn, compiler_options=fused)
    scores[dtype] = score_fn(params, tokens_BT, length_B)
    assert scores[dtype].dtype == jnp.float32

  def ties(score_B):
    # Pairs are ten ranks apart in the order of exact scores: close, not equal.
    order = np.argsort(np.asarray(scores['float32'])).reshape(-1, 2, 10)
    score = np.asarray(score_B)[order]
    return int((score[:, 0] == score[:, 1]).sum())

  assert ties(scores['float32']) == 0
  assert ties(scores['bfloat16']) == 0
  assert ties(scores['bfloat16'].astype(jnp.bfloat16)) > 100
