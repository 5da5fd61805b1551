"""What is fitted to activations, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from rlhf_jax.losses.spike_slab import Slab
from rlhf_jax.models.cnn import fit, prior, render
from rlhf_jax.models.cnn.network import Classifier, kernel_of

pytestmark = pytest.mark.slow  # each compiles a dozen programs of its own

NET = Classifier((2, 3), 4, 3, 3)


@pytest.fixture(scope='module')
def net():
  """(params, activations of 12 images of 4 x 4 pixels)."""
  rng = np.random.default_rng(0)
  params = NET.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
  image = np.maximum(rng.normal(size=(12, 4, 4, 1)), 0).astype(np.float32)
  return params, NET.apply(params, image)


def test_the_classifier_refuses_sides_that_cannot_be_pooled_twice():
  with pytest.raises(ValueError, match='multiples of 4, got .6, 6.'):
    NET.init(jax.random.key(0), jnp.zeros((1, 6, 6, 1)))


def test_the_kernel_of_a_transpose_gives_equal_products(net):
  rng = np.random.default_rng(1)
  kernel = kernel_of(net[0], 2)
  x = rng.normal(size=(1, 4, 4, 2)).astype(np.float32)
  y = rng.normal(size=(1, 4, 4, 3)).astype(np.float32)
  up = render.conv(x, kernel)
  down = render.conv(y, render.transposed(kernel))
  np.testing.assert_allclose((up * y).sum(), (down * x).sum(), rtol=1e-4)


def neighbourhoods(x, k):
  """[B H W, k k C] by loops."""
  B, H, W, C = x.shape
  wide = np.pad(x, ((0, 0), (k // 2,) * 2, (k // 2,) * 2, (0, 0)))
  rows = [
    wide[b, i : i + k, j : j + k].ravel() for b, i, j in np.ndindex(B, H, W)
  ]
  return np.array(rows)


def test_v1_is_the_least_squares_of_numpy(net):
  """And its sd the root of the mean squared residual."""
  x, target = (np.asarray(a) for a in fit.layer_pair(net[1], 2))
  found = fit.least_squares(fit.gram(x, target, 3), (3, 3, 3, 2))
  a = np.c_[neighbourhoods(x, 3), np.ones(len(x) * 4)]
  y = target.reshape(-1, 2)
  damp = fit.RIDGE * np.trace(a.T @ a) / a.shape[1]
  left = a.T @ a + damp * np.diag([*[1.0] * (a.shape[1] - 1), 0.0])
  wanted = np.linalg.solve(left, a.T @ y)
  np.testing.assert_allclose(
    np.asarray(found.mean.kernel).reshape(-1, 2), wanted[:-1], atol=2e-3
  )
  sd = np.sqrt(((y - a @ wanted) ** 2).mean(axis=0))
  np.testing.assert_allclose(found.sd, sd, rtol=1e-2)
  plain = np.asarray(render.affine(x, found.mean)).reshape(-1, 2)
  np.testing.assert_allclose(plain, a @ wanted, atol=5e-3)


def test_v0_fits_a_gain_and_an_offset_to_each_channel(net):
  params, acts = net
  x, target = fit.layer_pair(acts, 1)
  found = fit.tied(params, 1, x, target)
  plain = np.asarray(render.conv(x, render.transposed(kernel_of(params, 1))))
  line = stats.linregress(plain.ravel(), np.asarray(target).ravel())
  wanted = line.slope * plain + line.intercept
  np.testing.assert_allclose(render.affine(x, found.mean), wanted, atol=1e-4)
  sd = (np.asarray(target) - wanted).std()
  np.testing.assert_allclose(found.sd, [sd], rtol=1e-3)


def test_v0_of_the_dense_layer_treats_places_of_a_channel_alike(net):
  params, acts = net
  x, target = fit.layer_pair(acts, 3)
  found = fit.tied(params, 3, x, target)
  assert found.mean.kernel.shape == (4, 3) and found.sd.shape == (3,)


def test_the_loss_of_v2_is_that_of_a_loop(net):
  x, target = fit.layer_pair(net[1], 1, jnp.arange(12) % 2)
  start = fit.first_slab(fit.tied(net[0], 1, x, target), target)
  slab = render.render_slab(x, start)
  logit, mean, sd = (np.broadcast_to(a, target.shape) for a in slab)
  logps = []
  for h, z, m, s in zip(
    *(np.asarray(a).ravel() for a in (target, logit, mean, sd)), strict=True
  ):
    on = special.log_expit(z) + stats.norm.logpdf(h, m, s)
    logps.append(on if h > 0 else special.log_expit(-z))
  found = float(fit.slab_loss(start, (x, target)))
  assert found == pytest.approx(-np.mean(logps), rel=1e-4)


def test_unknown_positions_are_a_quarter_each(net):
  acts = net[1]
  x, _ = fit.layer_pair(acts, 1, jnp.zeros(12))
  wanted = np.asarray(acts.value[1]).repeat(2, axis=1).repeat(2, axis=2) / 4
  np.testing.assert_allclose(x, wanted, rtol=1e-6)


def test_a_background_has_the_moments_of_its_channels():
  value = np.array([[0.0, 1.0], [2.0, 0.0], [4.0, 3.0], [0.0, 0.0]])
  found = fit.background_of(value)
  np.testing.assert_allclose(special.expit(found.logit), [0.5, 0.5], rtol=1e-6)
  np.testing.assert_allclose(found.mean, [3, 2], rtol=1e-6)
  np.testing.assert_allclose(found.sd, [1, 1], rtol=1e-6)


def members():
  """Two clusters of eight, of three units; one is off in the second."""
  rng = np.random.default_rng(0)
  one = np.array([1.0, 2.0, 3.0]) + 0.1 * rng.normal(size=(8, 3))
  two = np.array([4.0, 0.0, 1.0]) + 0.1 * rng.normal(size=(8, 3))
  two[:, 1] = 0
  return np.concatenate([one, two]).astype(np.float32)


def test_the_mixture_of_a_class_finds_its_styles():
  slab, log_weight, logp = prior.fit_class(members(), jnp.array([0, 9]), 6)
  np.testing.assert_allclose(np.exp(log_weight), [0.5, 0.5], rtol=1e-3)
  np.testing.assert_allclose(slab.mean[0], [1, 2, 3], atol=0.3)
  assert float(special.expit(slab.logit[1, 1])) < 0.1
  assert float(logp[-1]) >= float(logp[0])


def test_the_m_step_is_that_of_a_loop():
  h, rng = members(), np.random.default_rng(1)
  weight = rng.dirichlet([1, 1], 16).astype(np.float32)
  slab, log_weight = prior.maximise(h, weight)
  half = prior.SMOOTH
  centre = [h[h[:, i] > 0, i].mean() for i in range(3)]
  square, count = np.zeros(3), np.zeros(3)
  for m in range(2):
    for i in range(3):
      on = h[:, i] > 0
      size = weight[on, m].sum()
      mean = ((weight[:, m] * h[:, i]).sum() + half * centre[i]) / (size + half)
      q = (size + half) / (weight[:, m].sum() + 2 * half)
      assert float(slab.mean[m, i]) == pytest.approx(mean, rel=1e-4)
      assert special.expit(float(slab.logit[m, i])) == pytest.approx(
        q, rel=1e-4
      )
      square[i] += (weight[on, m] * (h[on, i] - mean) ** 2).sum()
      count[i] += size
  np.testing.assert_allclose(slab.sd[0], np.sqrt(square / count), rtol=1e-3)
  size = weight.sum(axis=0) + half
  np.testing.assert_allclose(np.exp(log_weight), size / size.sum(), rtol=1e-5)


def test_a_prior_knows_the_moments_and_the_class_of_its_components():
  slab = Slab(jnp.zeros((2, 1)), jnp.array([[2.0], [4.0]]), jnp.ones((2, 1)))
  made = prior.make_prior([(slab, jnp.log(jnp.array([0.5, 0.5])))] * 3)
  np.testing.assert_array_equal(made.classes, [0, 0, 1, 1, 2, 2])
  np.testing.assert_allclose(made.mean_KD[:2, 0], [1, 2])
  # .5 (1 + 4) - 1 and .5 (1 + 16) - 4
  np.testing.assert_allclose(made.sd_KD[:2, 0] ** 2, [1.5, 4.5], rtol=1e-5)


def test_a_mixture_of_components_has_their_moments():
  """Against draws of single units; a unit of the second is nearly always on."""
  slab = Slab(
    jnp.array([[0.0, -1.0], [3.0, 1.0]]),
    jnp.array([[1.0, 2.0], [4.0, 0.5]]),
    jnp.array([[0.5, 0.2], [0.3, 0.1]]),
  )
  made = prior.make_prior([(slab, jnp.log(jnp.array([0.5, 0.5])))])
  weight = jnp.array([[0.25, 0.75]])
  found, mean = prior.mixed(made, jnp.array([[0, 1]]), weight)
  rng = np.random.default_rng(0)
  which = rng.random(400_000) < 0.75
  for unit in range(2):
    logit, centre, sd = (np.asarray(x)[:, unit] for x in slab)
    pick = lambda x, own=which: x[own.astype(int)]
    on = rng.random(len(which)) < pick(special.expit(logit))
    value = pick(centre) + pick(sd) * rng.normal(size=len(which))
    q = special.expit(float(found.logit[0, unit]))
    assert q == pytest.approx(on.mean(), abs=4e-3)
    assert float(found.mean[0, unit]) == pytest.approx(
      value[on].mean(), abs=0.02
    )
    assert float(found.sd[0, unit]) == pytest.approx(value[on].std(), abs=0.02)
    whole = np.where(on, value, 0).mean()
    assert float(mean[0, unit]) == pytest.approx(whole, abs=0.02)
  one, _ = prior.mixed(made, jnp.array([[1]]), jnp.ones((1, 1)))
  for x, y in zip(one, slab, strict=True):
    np.testing.assert_allclose(x[0], y[1], rtol=1e-4)


@pytest.mark.parametrize('layer', [1, 2])
def test_a_layer_is_what_is_read_where_seen_and_what_is_expected_elsewhere(
  net, layer
):
  """All seen: as of clean activations; nothing: the mean, places unknown."""
  acts = net[1]
  value, below = acts.value[layer], acts.value[layer - 1]
  mean, some = jnp.ones_like(value), jnp.ones((*value.shape[:3], 1))
  x, target = fit.partly_pair(acts, below, mean, layer, some)
  clean, _ = fit.layer_pair(acts, layer)
  np.testing.assert_allclose(x, clean, atol=1e-6)
  np.testing.assert_array_equal(target, below)
  x, _ = fit.partly_pair(acts, below, mean, layer, 0 * some)
  np.testing.assert_allclose(x, np.full(x.shape, 0.25), atol=1e-6)
  np.testing.assert_allclose(x, fit.without_reading(mean, layer), atol=1e-6)


def test_the_dense_layer_has_no_places(net):
  acts = net[1]
  mean, half = 2 + acts.value[3], jnp.full((12, 1), 0.5)
  x, target = fit.partly_pair(acts, acts.value[2], mean, 3, half)
  np.testing.assert_allclose(x, acts.value[3] + 1, rtol=1e-6)
  assert target.shape == (12, 3)  # 1 x 1 places of 3 channels
  assert fit.without_reading(mean, 3) is mean
