"""Baselines and queries on small networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.models.cnn import baselines, queries
from rlhf_jax.models.cnn.backward import Found
from rlhf_jax.models.cnn.network import Classifier

pytestmark = pytest.mark.slow  # each compiles a dozen programs of its own

NET = Classifier((2, 3), 4, 3, 2)


@pytest.fixture(scope='module')
def net():
  rng = np.random.default_rng(0)
  params = NET.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
  return params, rng.random((3, 8, 8)).astype(np.float32)


def test_the_gradient_rule_is_the_derivative_of_the_logit(net):
  params, image = net
  class_B = jnp.array([0, 1, 1])

  def logit(x):
    return (
      NET.apply(params, x[..., None]).logits_BY[jnp.arange(3), class_B].sum()
    )

  acts = NET.apply(params, image[..., None])
  found = baselines.backward_signal(params, acts, class_B, 'gradient')
  wanted = jax.grad(logit)(jnp.asarray(image))
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  product = baselines.gradient_times_input(params, acts, class_B)
  np.testing.assert_allclose(product, wanted * image, atol=1e-5)


def test_rules_differ_where_signals_are_negative_or_units_off():
  signal = jnp.array([2.0, -3.0, 4.0, -5.0])
  pre = jnp.array([1.0, 1.0, -1.0, -1.0])
  wanted = {
    'gradient': [2, -3, 0, 0],
    'deconv': [2, 0, 4, 0],
    'guided': [2, 0, 0, 0],
  }
  for rule, value in wanted.items():
    found = baselines._through_relu(rule, signal, pre)
    np.testing.assert_array_equal(found, value)


def test_an_unknown_rule_is_refused(net):
  acts = NET.apply(net[0], net[1][..., None])
  with pytest.raises(ValueError, match="no rule 'x': one of gradient, deconv"):
    baselines.backward_signal(net[0], acts, jnp.array([0, 0, 0]), 'x')


def test_class_means_are_means_of_a_class():
  image = np.arange(12.0).reshape(3, 2, 2)
  found = baselines.class_means(image, np.array([1, 0, 1]), 3)
  np.testing.assert_allclose(found[0], image[1])
  np.testing.assert_allclose(found[1], (image[0] + image[2]) / 2)
  np.testing.assert_allclose(found[2], 0)


def test_a_decoder_makes_pixels_of_the_dense_layer():
  net = baselines.Decoder(8, 2, 3)
  top = jnp.ones((2, 4))
  image = net.apply(net.init(jax.random.key(0), top), top)
  assert image.shape == (2, 8, 8)
  assert 0 < float(image.min()) and float(image.max()) < 1


def pass_of(seen):
  """A pass that notes what it was asked, and answers with numbers."""

  def infer(image, mask, clamp):
    seen.append((image, mask, clamp))
    clamp = jnp.full((1, 2), 4) if clamp is None else clamp
    whole = jnp.stack([image + 10 * (k + 1) for k in range(len(clamp))])
    return Found(whole, whole, whole, clamp + 5, clamp * 0.0)

  return infer


def test_a_query_clamps_what_it_should():
  image, seen = jnp.arange(8.0).reshape(2, 2, 2), []
  infer = pass_of(seen)
  queries.instances(infer, image, jnp.array([[1, 2], [3, 4]]))
  one = queries.disambiguated(infer, image, jnp.array([7, 8]))
  mask = jnp.array([[[1, 0], [1, 1]]] * 2)
  found = queries.recovered(infer, image, mask)
  clamps = [np.asarray(clamp).tolist() for _, _, clamp in seen]
  assert clamps == [[[1, 2], [3, 4]], [[7, 8]], None]
  assert all((np.asarray(m) == 1).all() for _, m, _ in seen[:2])
  np.testing.assert_array_equal(one, image + 10)
  np.testing.assert_array_equal(found.class_B, [4 + 5] * 2)
  np.testing.assert_array_equal(found.image_BHW[0], [[0, 11], [2, 3]])
  np.testing.assert_array_equal(found.whole_BHW, image + 10)


def test_a_detection_is_the_window_of_most_evidence():
  image = np.zeros((2, 6, 7), np.float32)
  image[0, 4, 5], image[1, 0, 0] = 1, 2

  def score(window):
    return jnp.full(len(window), 3), jnp.asarray(window).sum(axis=(1, 2))

  found = queries.detected(score, jnp.asarray(image), 4, 2)
  assert [found.row_B[0], found.column_B[0]] == [2, 2]
  assert [found.row_B[1], found.column_B[1]] == [0, 0]
  np.testing.assert_allclose(found.evidence_B, [1, 2])
  np.testing.assert_array_equal(found.class_B, [3, 3])
  window, corner = queries.crops(jnp.asarray(image), 4, 2)
  assert window.shape == (2, 4, 4, 4) and len(corner) == 4
