"""Hand steps of the optimiser and of the learning rate."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rlhf_jax.train.optimiser import (
  accumulate_gradients,
  apply_updates,
  learning_rate_at,
  make_optimiser,
)
from rlhf_jax.train.steps import advance, init_state

B1, B2, EPS = 0.9, 0.98, 0.5


def test_adam_adds_eps_after_the_root_of_the_corrected_moment():
  """mhat / (sqrt(vhat) + eps), three hand steps (checklist 73)."""
  tx = make_optimiser(b1=B1, b2=B2, eps=EPS, max_grad_norm=0)
  state = init_state({'w': jnp.float32([1.0, -2.0])}, tx)
  w, m, v = np.float64([1.0, -2.0]), np.zeros(2), np.zeros(2)
  for t, grad in enumerate(([0.3, -0.1], [0.2, 0.4], [-1.0, 0.05]), 1):
    state, _ = advance(state, {'w': jnp.float32(grad)}, tx, 0.1)
    grad = np.float64(grad)
    m, v = B1 * m + (1 - B1) * grad, B2 * v + (1 - B2) * grad**2
    w = w - 0.1 * (m / (1 - B1**t)) / (np.sqrt(v / (1 - B2**t)) + EPS)
    np.testing.assert_allclose(state.params['w'], w, rtol=1e-6)
  assert int(state.step) == 3


def test_other_places_of_eps_give_other_steps():
  """The hand step can tell the variants apart (checklist 73)."""
  g = 0.3
  inside_root = g / np.sqrt(g**2 + EPS)
  # TensorFlow 1: eps next to the uncorrected root.
  tf1 = g * np.sqrt(1 - B2) / (np.sqrt((1 - B2) * g**2) + EPS)
  tx = make_optimiser(b1=B1, b2=B2, eps=EPS, max_grad_norm=0)
  update, _ = tx.update(jnp.float32(g), tx.init(jnp.float32(0.0)))
  assert abs(float(update) - g / (g + EPS)) < 1e-6
  assert min(abs(float(update) - x) for x in (inside_root, tf1)) > 0.01


def test_weight_decay_is_decoupled():
  tx = make_optimiser(weight_decay=0.1, max_grad_norm=0)
  state = init_state(jnp.float32(2.0), tx)
  state, _ = advance(state, jnp.float32(0.0), tx, 0.5)
  assert float(state.params) == pytest.approx(2.0 - 0.5 * 0.1 * 2.0)


def test_gradients_are_clipped_over_the_union_of_both_networks():
  """Norms 3 and 4 make 5, so both shrink by 5 (checklist 76)."""
  tx = make_optimiser(eps=1.0, max_grad_norm=1.0)
  params = {'policy': jnp.zeros(1), 'value': jnp.zeros(1)}
  grads = {'policy': jnp.float32([3.0]), 'value': jnp.float32([4.0])}
  state, norm = advance(init_state(params, tx), grads, tx, 1.0)
  assert float(norm) == pytest.approx(5.0)  # reported before clipping
  for name, clipped in (('policy', 0.6), ('value', 0.8)):
    # eps = 1 keeps the scale visible; Adam's first step is g / (|g| + eps).
    step = -float(state.params[name][0])
    assert step == pytest.approx(clipped / (clipped + 1.0), rel=1e-5)


def test_small_gradients_are_not_scaled_up():
  tx = make_optimiser(eps=1.0, max_grad_norm=1.0)
  update, _ = tx.update(jnp.float32([0.5]), tx.init(jnp.zeros(1)))
  assert float(update[0]) == pytest.approx(0.5 / 1.5)


def test_each_network_has_its_learning_rate():
  ones = {'policy': {'w': jnp.ones(2)}, 'value': {'w': jnp.ones(2)}}
  rates = {'policy': 0.1, 'value': 0.5}
  new = apply_updates(ones, ones, rates)
  np.testing.assert_allclose(new['policy']['w'], 0.9)
  np.testing.assert_allclose(new['value']['w'], 0.5)


def test_linear_schedule_spends_no_step_at_zero():
  """The last step is positive, the next would be 0 (checklist 74)."""
  rates = [
    learning_rate_at(step, peak=2.0, total=10, shape='linear')
    for step in range(12)
  ]
  expected = [2.0 * (10 - step) / 10 for step in range(11)] + [0.0]
  np.testing.assert_allclose(rates, expected, atol=1e-12)
  assert rates[9] > 0 and rates[10] == 0


def test_warm_up_rises_to_the_peak():
  """Steps 1/4, 2/4, 3/4, 4/4 of the peak, then the shape (checklist 74)."""
  rate = lambda step, shape: learning_rate_at(
    step, peak=8.0, total=12, warmup=4, shape=shape
  )
  for shape in ('constant', 'linear', 'cosine'):
    assert [rate(step, shape) for step in range(5)] == [2, 4, 6, 8, 8]
  assert rate(11, 'constant') == 8.0
  assert rate(11, 'linear') == pytest.approx(8.0 / 8)
  assert rate(8, 'cosine') == pytest.approx(4.0)
  assert rate(11, 'cosine') == pytest.approx(4 * (1 + np.cos(7 / 8 * np.pi)))
  assert rate(12, 'linear') == rate(12, 'cosine') == 0.0


def test_an_unknown_shape_is_refused():
  with pytest.raises(ValueError, match="got 'square'"):
    learning_rate_at(0, peak=1.0, total=1, shape='square')


def test_microbatches_must_divide_the_batch():
  loss = lambda w, x: ((w * x).mean(), {})
  with pytest.raises(ValueError, match='3 microbatches do not divide a batch'):
    accumulate_gradients(loss, 1.0, jnp.ones(4), lambda x: x.sum(), 3)


def test_a_batch_in_which_nothing_counts_gives_no_nan():
  loss = lambda w, x: (optax.safe_norm(w * x, 1e-6), {})
  grads, metrics = accumulate_gradients(
    loss, jnp.float32(1.0), jnp.zeros(4), lambda x: x.sum(), 2
  )
  assert float(grads) == float(metrics['loss']) == 0.0


def test_a_rate_falls_to_a_share_of_its_peak_and_no_further():
  """Cosine to a tenth, as of finetuning; a line to 0 (checklist 27, 74)."""
  rates = [
    learning_rate_at(step, peak=2.0, total=8, shape='cosine', final=0.1)
    for step in range(10)
  ]
  wanted = [0.2 + 1.8 * (1 + np.cos(np.pi * i / 8)) / 2 for i in range(9)]
  assert rates == pytest.approx([*wanted, 0.2])
  line = lambda step: learning_rate_at(
    step, peak=2.0, total=8, warmup=2, shape='linear'
  )
  assert line(7) == pytest.approx(2 / 6) and line(8) == 0.0
