"""A whole backward pass against loops over units, and what it must keep."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from rlhf_jax.losses.spike_slab import MISSED, Slab
from rlhf_jax.models.cnn import backward, fit, prior
from rlhf_jax.models.cnn.evidence import Generative, Options, evidence
from rlhf_jax.models.cnn.network import Classifier, kernel_of
from rlhf_jax.models.cnn.render import Affine, GaussianLayer, SpikeSlab
from rlhf_jax.models.cnn.share import observed_shares

pytestmark = pytest.mark.slow  # each compiles a dozen programs of its own

NET = Classifier((2, 3), 4, 3, 2)
B, SIDE, TRUST = 2, 8, 2.0


def normal(rng, *shape):
  return jnp.asarray(rng.normal(size=shape).astype(np.float32))


@pytest.fixture(scope='module')
def toy():
  """(params, {'v1', 'v2': Generative}, images, mask), all random."""
  rng = np.random.default_rng(0)
  params = NET.init(jax.random.key(1), jnp.zeros((1, SIDE, SIDE, 1)))
  image = np.maximum(rng.normal(size=(B, SIDE, SIDE)), 0).astype(np.float32)
  mask = np.ones((B, SIDE, SIDE), np.float32)
  mask[1, :5, 2:] = 0
  slab = Slab(normal(rng, 2, 4), jnp.abs(normal(rng, 2, 4)), jnp.ones((2, 4)))
  top = prior.make_prior([(slab, jnp.log(jnp.array([0.4, 0.6])))] * 2)
  shapes = [(3, 3, 2, 1), (3, 3, 3, 2), (4, 12)]
  maps = lambda: [
    Affine(0.4 * normal(rng, *s), normal(rng, s[-1])) for s in shapes
  ]
  sds = [jnp.abs(normal(rng, s[-1])) + 0.3 for s in shapes]
  v1 = tuple(GaussianLayer(*x) for x in zip(maps(), sds, strict=True))
  logs = [jnp.log(x) for x in sds]
  v2 = tuple(SpikeSlab(*x) for x in zip(maps(), maps(), logs, strict=True))
  behind = tuple(
    Slab(normal(rng, n), jnp.abs(normal(rng, n)), jnp.full(n, 0.7))
    for n in (1, 2, 3, 4)
  )
  unseen = tuple(SpikeSlab(*x) for x in zip(maps(), maps(), logs, strict=True))
  models = {
    'v1': Generative(v1, top, behind),
    'v2': Generative(v2, top, behind),
    'v2_unseen': Generative(v2, top, behind, unseen),
  }
  return params, models, image, mask


@functools.cache
def compiled():
  """One program for each model and kind of clamp, for all tests."""
  return jax.jit(
    lambda params, *rest: backward.one_pass(
      functools.partial(NET.apply, params), 3, *rest
    )
  )


def infer(toy, name, clamp, options=None, iterations=1, image=None, mask=None):
  params, models, own_image, own_mask = toy
  query = backward.Query(
    jnp.asarray(own_image if image is None else image),
    jnp.asarray(own_mask if mask is None else mask),
    None if clamp is None else jnp.asarray(clamp),
    options or Options(trust=TRUST),
  )
  pass_of = functools.partial(compiled(), params, models[name])
  return backward.infer(pass_of, query, iterations)


def convolved(x, kernel):
  """[H, W, C] by loops, border 0."""
  k, out = kernel.shape[0], np.zeros((*x.shape[:2], kernel.shape[-1]))
  wide = np.pad(x, ((k // 2,) * 2, (k // 2,) * 2, (0, 0)))
  for i, j in np.ndindex(*x.shape[:2]):
    out[i, j] = np.einsum('abc,abco->o', wide[i : i + k, j : j + k], kernel)
  return out


def spread(g, u, s, slab):
  """z unpool(g, t) of one image by loops."""
  out = np.zeros((2 * g.shape[0], 2 * g.shape[1], g.shape[2]))
  for i, j, c in np.ndindex(*g.shape):
    window = u[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c].ravel()
    best = int(np.argmax(g[i, j, c] * window))
    seen = s[i, j, 0] * window[best] + (1 - s[i, j, 0]) * g[i, j, c]
    on = 1.0 if slab else float(g[i, j, c] * seen > 0)
    for k in range(4):
      weight = s[i, j, 0] * (k == best) + (1 - s[i, j, 0]) / 4
      out[2 * i + k // 2, 2 * j + k % 2, c] = on * g[i, j, c] * weight
  return out


def fused(v, q, m, sd, behind, s, slab):
  """(h, w) of one unit; behind: (q, m, sd) of the background."""
  if not slab:
    return (s * TRUST * v + max(m, 0)) / (s * TRUST + 1), 1.0
  if v > 0:
    wide = sd * np.sqrt(1 + 1 / TRUST)
    on = (1 - MISSED) * stats.norm.pdf(v, m, wide)
    off = behind[0] * stats.norm.pdf(v, behind[1], behind[2])
  else:
    on, off = MISSED, 1 - behind[0]
  odds = q / (1 - q) * (on / off) ** s
  own, weight = odds / (1 + odds), s * TRUST * (v > 0)
  return own * max((weight * v + m) / (weight + 1), 0), own


def units(v, source, render, behind, s, slab):
  """Every unit of a layer: (h, w)."""
  if slab:
    q, m, sd = special.expit(source[0]), source[1], np.exp(render.log_sd)
  else:
    q, m, sd = np.zeros_like(source[0]), source[0], render.sd
  sd = np.resize(np.asarray(sd), m.shape)  # of channels, or of units
  h, own = np.zeros(v.shape), np.zeros(v.shape)
  for place in np.ndindex(*v.shape):
    c = place[-1]
    back = [float(x[c]) for x in behind]
    back[0] = special.expit(back[0])
    share = s[(*place[:-1], 0)]
    args = v[place], q[place], m[place], sd[place], back, share, slab
    h[place], own[place] = fused(*args)
  return h, own


def mapped(x, render, slab):
  """[logits, means] or [means] of a layer's render, by loops."""
  found = []
  for map_ in (render.logit, render.mean) if slab else (render.mean,):
    kernel, offset = np.asarray(map_.kernel), np.asarray(map_.offset)
    linear = convolved(x, kernel) if kernel.ndim == 4 else x @ kernel
    found.append(linear + offset)
  return found


def blended(top, weight_M, first):
  """[logits, means, sds] of a mixture of components, unit by unit."""
  each = range(first, first + len(weight_M))
  found = np.zeros((3, top.slab.mean.shape[1]))
  for d in range(found.shape[1]):
    q = [special.expit(float(top.slab.logit[m, d])) for m in each]
    a, sd = ([float(x[m, d]) for m in each] for x in top.slab[1:])
    on = np.array(weight_M) * q
    mean = (on * a).sum() / on.sum()
    spread = (on * (np.square(sd) + np.square(a))).sum() / on.sum() - mean**2
    found[:, d] = special.logit(on.sum()), mean, np.sqrt(spread)
  return found


def by_loops(toy, name, b, weight_M, first=2, upper=1.0):
  """(pixels, w) of one image, given the posterior of its components."""
  params, models, image, mask = toy
  model, slab = models[name], name != 'v1'
  seen = image[b] * mask[b]
  acts = NET.apply(params, seen[None, ..., None])
  v = [np.asarray(x[0], np.float64) for x in acts.value]
  u = [np.asarray(x[0], np.float64) for x in acts.pre]
  s = [
    np.asarray(x[0], np.float64) for x in observed_shares(mask[b : b + 1], 3)
  ]
  counted = [s[0], *(upper * x for x in s[1:])]
  top = model.prior
  if slab:
    *source, sd = blended(top, weight_M, first)
    render = SpikeSlab(None, None, np.log(sd))
    h, _ = units(v[3], source, render, model.background[3], counted[3], True)
  else:
    own = np.asarray(top.mean_KD[first : first + len(weight_M)], np.float64)
    mean = sum(w * x for w, x in zip(weight_M, own, strict=True))
    render = GaussianLayer(None, np.ones(4))
    h, _ = units(v[3], [mean], render, model.background[3], counted[3], False)
    seen3 = s[3][0] * u[2] + (1 - s[3][0]) * h
    h = h * (h * seen3 > 0)
  for layer in (3, 2, 1):
    x = h if layer == 3 else spread(h, u[layer - 1], s[layer], slab)
    below = v[layer - 1].shape
    found = [y.reshape(below) for y in mapped(x, model.layers[layer - 1], slab)]
    if model.unseen:
      other = mapped(x, model.unseen[layer - 1], slab)
      share = s[layer - 1]
      found = [
        share * y + (1 - share) * z.reshape(below)
        for y, z in zip(found, other, strict=True)
      ]
    args = model.layers[layer - 1], model.background[layer - 1]
    h, own = units(v[layer - 1], found, *args, counted[layer - 1], slab)
  return h[..., 0], own[..., 0]


@pytest.mark.parametrize(
  ('name', 'upper'), [('v1', 1.0), ('v2', 1.0), ('v1', 0.3), ('v2_unseen', 0.3)]
)
def test_a_pass_is_that_of_loops_over_units(toy, name, upper):
  """Class 1 clamped, one image whole and one with hidden pixels."""
  found = infer(toy, name, [[1, 1]], Options(trust=TRUST, upper=upper))
  model = toy[1][name]
  seen = toy[2] * toy[3]
  value = NET.apply(toy[0], seen[..., None]).value[2]
  shares = upper * observed_shares(toy[3], 3)[2]
  weighed = np.asarray(evidence(model, value, shares, TRUST)[0])
  for b in range(B):
    weight_M = special.softmax(weighed[b, 2:])
    image, own = by_loops(toy, name, b, weight_M, upper=upper)
    np.testing.assert_allclose(found.image_KBHW[0, b], image, atol=2e-4)
    np.testing.assert_allclose(found.own_KBHW[0, b], own, atol=2e-4)
    assert float(found.evidence_KB[0, b]) == pytest.approx(
      weighed[b, 2:].max(), rel=1e-5
    )


def test_a_share_of_nothing_is_the_map_of_what_is_unseen(toy):
  """All pixels hidden: the layers below are those of `unseen` alone."""
  params, models, image, _ = toy
  other = models['v2_unseen']
  alone = other._replace(layers=other.unseen, unseen=())
  nothing = np.zeros((B, SIDE, SIDE), np.float32)
  own = {'v2_unseen': other, 'v2': alone, 'v1': models['v1']}
  both = [
    infer((params, own, image, nothing), name, [[1, 1]], mask=nothing)
    for name in ('v2', 'v2_unseen')
  ]
  images = [x.predicted_KBHW for x in both]
  np.testing.assert_allclose(*images, atol=1e-6)
  seen = infer(toy, 'v2', [[1, 1]], mask=nothing).predicted_KBHW
  assert np.abs(np.asarray(seen - images[0])).max() > 0.01


@pytest.mark.parametrize('name', ['v1', 'v2'])
def test_what_is_hidden_changes_nothing(toy, name):
  changed = np.where(toy[3] > 0, toy[2], 9.0)
  before = infer(toy, name, None, iterations=2)
  after = infer(toy, name, None, iterations=2, image=changed)
  for x, y in zip(before, after, strict=True):
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize('name', ['v1', 'v2'])
def test_without_bottom_up_the_image_does_not_count(toy, name):
  options = Options(trust=TRUST, bottom_up=0.0)
  one = infer(toy, name, [[0, 0]], options)
  other = infer(toy, name, [[0, 0]], options, image=toy[2][::-1])
  np.testing.assert_allclose(one.image_KBHW, other.image_KBHW, atol=1e-6)
  assert set(np.asarray(one.class_KB).ravel()) == {0}
  if name == 'v2':  # and its pixels are q m
    np.testing.assert_allclose(one.image_KBHW, one.predicted_KBHW, atol=1e-6)


def test_without_top_down_the_class_does_not_count(toy):
  options = Options(trust=TRUST, top_down=0.0)
  found = infer(toy, 'v2', [[0, 0], [1, 1]], options, iterations=2)
  np.testing.assert_allclose(*found.image_KBHW, atol=1e-6)


def test_two_equal_hypotheses_share_what_they_explain(toy):
  """Alone each has o / (1 + o), together o / (1 + 2 o)."""
  alone = infer(toy, 'v2', [[1, 1], [1, 1]])
  np.testing.assert_array_equal(*alone.own_KBHW)
  options = Options(trust=TRUST, together=1.0)
  both = infer(toy, 'v2', [[1, 1], [1, 1]], options)
  assert float(both.own_KBHW.sum(axis=0).max()) <= 1 + 1e-6
  assert (both.own_KBHW <= alone.own_KBHW.max() + 1e-6).all()
  assert float(both.own_KBHW.mean()) < float(alone.own_KBHW.mean())


def test_a_reading_that_is_trusted_fully_is_kept(toy):
  options = Options(trust=1e6)
  found = infer(toy, 'v1', [[1, 1]], options)
  np.testing.assert_allclose(found.image_KBHW[0, 0], toy[2][0], atol=1e-4)


def test_rendering_down_is_a_pass_without_readings_or_positions(toy):
  """Of V2 with its means: the prior's component on every layer."""
  params, models, _, _ = toy
  nothing = np.zeros((B, SIDE, SIDE), np.float32)
  options = Options(trust=TRUST, bottom_up=0.0)
  found = infer(toy, 'v2', [[1, 1]], options, image=nothing, mask=nothing)
  # Without readings the components of class 1 are as likely as they are.
  logit_D, mean_D, _ = blended(models['v2'].prior, [0.4, 0.6], 2)
  top = jax.nn.sigmoid(logit_D) * jnp.maximum(mean_D, 0)
  image = backward.render_down(models['v2'], top[None])
  np.testing.assert_allclose(found.image_KBHW[0, 0], image[0], atol=1e-5)


def test_the_tied_model_has_the_classifiers_own_kernels(toy):
  acts = NET.apply(toy[0], toy[2][..., None])
  pair = fit.layer_pair(acts, 2)
  found = fit.tied(toy[0], 2, *pair)
  ratio = found.mean.kernel / kernel_of(toy[0], 2)[::-1, ::-1].transpose(
    0, 1, 3, 2
  )
  each = np.asarray(ratio).reshape(-1, 2)
  np.testing.assert_allclose(each, np.broadcast_to(each[:1], each.shape), 1e-4)


def test_the_components_of_a_class_are_weighed_as_among_all(toy):
  params, models, image, mask = toy
  value = NET.apply(params, image[..., None]).value[2]
  shares = observed_shares(mask, 3)[2]
  for model in models.values():
    every, names = evidence(model, value, shares, TRUST)
    np.testing.assert_array_equal(names, [[0, 1, 2, 3]] * B)
    own, names = evidence(model, value, shares, TRUST, jnp.array([1, 0]))
    np.testing.assert_array_equal(names, [[2, 3], [0, 1]])
    np.testing.assert_allclose(own[0], every[0, 2:], rtol=1e-5)
    np.testing.assert_allclose(own[1], every[1, :2], rtol=1e-5)
