"""ReLU states, positions and pooling, against loops and enumeration."""

import itertools

import numpy as np
import pytest

from rlhf_jax.models.cnn import pooling, share, states

UNITS, PLACES, PIXELS, SD = 3, 4, 5, 0.7


def toy(seed):
  """Templates that overlap, biases, values from above, a layer below."""
  rng = np.random.default_rng(seed)
  template_NTD = rng.normal(size=(UNITS, PLACES, PIXELS))
  bias_NT = rng.normal(size=(UNITS, PLACES)) * 0.3
  value_N = rng.normal(size=UNITS)
  return template_NTD, bias_NT, value_N, rng.normal(size=PIXELS)


def log_joint(net, on_N, place_N):
  """log p(h | g, z, t) + log p(z, t | g) as the docstring has them."""
  template_NTD, bias_NT, value_N, below_D = net
  chosen = range(UNITS), list(place_N)
  rendered_D = (np.array(on_N) * value_N) @ template_NTD[chosen]
  square = -0.5 * ((below_D - rendered_D) ** 2).sum() / SD**2
  tilt = (np.array(on_N) * value_N * bias_NT[chosen]).sum()
  return square + (0.5 * (rendered_D**2).sum() + tilt) / SD**2


ALL = [
  (on_N, place_N)
  for on_N in itertools.product((0, 1), repeat=UNITS)
  for place_N in itertools.product(range(PLACES), repeat=UNITS)
]


def pre_of(net):
  """u of every unit and position."""
  template_NTD, bias_NT, _, below_D = net
  return template_NTD @ below_D + bias_NT


def decided(net):
  """(z, t) of the closed form, through the maps that the passes use."""
  pre_map = pooling.unwindows(pre_of(net)[None, None, :, :, None])
  value_map = net[2][None, None, :, None]
  ones = np.ones((1, 1, UNITS, 1))
  on, place = states.decide(value_map, pre_map, ones)
  return np.asarray(on)[0, 0, :, 0], np.asarray(place)[0, 0, :, :, 0].argmax(1)


@pytest.mark.parametrize('seed', range(4))
def test_the_closed_form_is_the_best_of_all_512_states(seed):
  net = toy(seed)
  assert (net[2] < 0).any() or seed  # the first has a value below 0
  scores = [log_joint(net, *state) for state in ALL]
  best_on, best_place = ALL[int(np.argmax(scores))]
  on, place = decided(net)
  np.testing.assert_array_equal(on, best_on)
  where = np.array(best_on) > 0  # of units that are off no position counts
  np.testing.assert_array_equal(place[where], np.array(best_place)[where])


def test_the_score_of_states_is_the_joint_up_to_a_constant():
  net = toy(0)
  rest = []
  for on_N, place_N in ALL[::37]:
    args = np.array(on_N), np.array(place_N)
    score = float(states.joint_score(net[2], pre_of(net), *args))
    rest.append(log_joint(net, on_N, place_N) - score / SD**2)
  assert np.ptp(rest) < 1e-4  # scores are float32


def test_values_above_0_decide_as_relu_and_max_pooling_do():
  rng = np.random.default_rng(1)
  pre = rng.normal(size=(2, 4, 6, 3)).astype(np.float32)
  value = np.abs(rng.normal(size=(2, 2, 3, 3))) + 0.1
  on, place = states.decide(value, pre, np.ones((2, 2, 3, 1)))
  pooled = pooling.max_pool(np.maximum(pre, 0))
  np.testing.assert_array_equal(np.asarray(on) > 0, np.asarray(pooled) > 0)
  np.testing.assert_array_equal(place, pooling.switches(pre))


def test_where_nothing_is_observed_the_value_from_above_decides():
  pre = -np.ones((1, 2, 2, 1), np.float32)
  value = np.array([[[[0.5]]]], np.float32)
  on, place = states.decide(value, pre, np.zeros((1, 1, 1, 1)))
  assert float(on[0, 0, 0, 0]) == 1
  np.testing.assert_allclose(place, 0.25)
  on, _ = states.decide(value, pre, np.ones((1, 1, 1, 1)))
  assert float(on[0, 0, 0, 0]) == 0
  half = states.decide_dense(
    np.array([[0.5, 0.5]]), np.array([[-1.0, -1.0]]), np.array([[0.25]])
  )  # .25 x -1 + .75 x .5 > 0
  np.testing.assert_array_equal(half, [[1, 1]])


def test_windows_pooling_and_switches_are_those_of_a_loop():
  rng = np.random.default_rng(2)
  x = rng.normal(size=(2, 4, 6, 3)).astype(np.float32)
  pooled, place = pooling.max_pool(x), pooling.switches(x)
  back = np.zeros_like(x)
  for b, i, j, c in np.ndindex(2, 2, 3, 3):
    window = x[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
    assert float(pooled[b, i, j, c]) == window.max()
    k = int(window.argmax())
    assert int(np.asarray(place)[b, i, j, :, c].argmax()) == k
    back[b, 2 * i + k // 2, 2 * j + k % 2, c] = window.max()
  np.testing.assert_array_equal(pooling.unpool(pooled, place), back)
  np.testing.assert_array_equal(pooling.unwindows(pooling.windows(x)), x)


def test_the_observed_share_is_that_of_a_loop():
  """Means over what lies inside the image, layer by layer."""
  rng = np.random.default_rng(3)
  mask = (rng.random((2, 8, 8)) < 0.6).astype(np.float32)
  found = share.observed_shares(mask, 3)
  before = mask
  for layer in (1, 2):
    B, side = before.shape[0], before.shape[1]
    mean = np.zeros_like(before)
    for b, i, j in np.ndindex(B, side, side):
      field = before[b, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
      mean[b, i, j] = field.mean()
    pooled = mean.reshape(B, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(found[layer][..., 0], pooled, rtol=1e-5)
    before = pooled
  np.testing.assert_allclose(found[3][:, 0], before.mean((1, 2)), rtol=1e-5)
  every = share.observed_shares(np.ones((1, 8, 8)), 3)
  for x in every:
    np.testing.assert_allclose(x, 1, rtol=1e-6)
