"""Bows and efficiencies of curves whose shape is known."""

import math

import numpy as np
import pandas as pd
import pytest

from rlhf_jax.analysis import bows, fits

ROOT_N = np.linspace(0, 3, 31)


def edge(gain=lambda x: x, last=2.0, points=400):
  root_N = np.linspace(0, last, points + 1)[1:]
  # In no order: a table may hold points as it likes.
  frame = pd.DataFrame({'kl': root_N**2, 'gain': gain(root_N)})
  return frame.sample(frac=1, random_state=0)


def run(gain, root_N=ROOT_N):
  columns = {'samples': np.arange(len(root_N)), 'kl': root_N**2}
  return pd.DataFrame(columns | {'kl_se': 0.001, 'gain': gain(root_N)})


@pytest.mark.parametrize(('c1', 'c2'), [(1.0, -0.2), (0.5, 0.3), (2.0, 0.0)])
def test_the_bow_of_a_parabola_is_that_of_its_chord(c1, c2):
  """c2 h^2 / 4 over c1 h + c2 h^2, and the free quadratic's on [0, h]."""
  x_N = np.linspace(0, 2, 9)
  gain_N = c1 * x_N + c2 * x_N**2
  found = bows.bow_from_origin(x_N[1:], gain_N[1:])
  assert found == pytest.approx(c2 * 4 / 4 / (2 * c1 + 4 * c2))
  assert found == pytest.approx(fits.quadratic_bow(x_N, gain_N), abs=1e-12)


def test_a_bow_through_pi_0_is_less_than_half_as_noisy():
  """Variance of c2: 180 / n of a free parabola, 80 / n through the origin."""
  rng, x_N = np.random.default_rng(0), np.linspace(0.05, 1, 20)
  noise_DN = 0.01 * rng.standard_normal((400, 20))
  own = [bows.bow_from_origin(x_N, x_N + e_N) for e_N in noise_DN]
  free = [fits.quadratic_bow(x_N, x_N + e_N) for e_N in noise_DN]
  assert np.var(own) < 0.6 * np.var(free)


def test_both_bows_are_taken_where_the_frontier_reaches():
  """The policy bends beyond sqrt(KL) = 2 alone, which nobody looks at."""
  curve = run(lambda x: np.where(x <= 2, 0.5 * x, 5.0))
  policy, best = bows.matched_bows(curve, 'gain', edge(lambda x: x - x**2 / 8))
  assert policy == pytest.approx(0, abs=1e-9)
  # On [0, 2]: -(1 / 8) 4 / 4 over 2 - 4 / 8; linear between 400 points.
  assert best == pytest.approx(-1 / 12, abs=1e-4)


@pytest.mark.parametrize(
  ('curve', 'last'),
  [
    (run(lambda x: x, ROOT_N[:6]), 2.0),  # five points but pi_0
    (run(lambda x: x, np.linspace(1, 3, 31)), 3.0),  # 9 times in KL
    (run(lambda x: 0.24 * x), 2.0),
    (run(lambda x: -x), 2.0),
    (run(lambda x: x), 0.35),
  ],
)
def test_a_short_window_or_a_small_gain_has_no_bow(curve, last):
  found = bows.matched_bows(curve, 'gain', edge(last=last))
  assert np.isnan(found).all()


def test_a_gain_of_a_quarter_has_a_shape():
  found = bows.matched_bows(run(lambda x: 0.26 * x), 'gain', edge())
  assert found == pytest.approx((0, 0), abs=1e-9)


def test_slopes_are_those_of_least_squares():
  rng = np.random.default_rng(0)
  x_C, table_SC = rng.standard_normal(5), rng.standard_normal((3, 5))
  found = bows.slopes_of(table_SC, x_C)
  wanted = [np.polyfit(x_C, y_C, 1)[0] for y_C in table_SC]
  np.testing.assert_allclose(found, wanted)


def test_the_efficiency_is_the_share_of_least_squares():
  root_N = np.linspace(0, 3, 13)
  gain_N = 0.4 * root_N
  gain_N[root_N > 1.5] = 99.0  # outside of the range
  gain_N[root_N < 0.5] = -99.0
  found = bows.efficiency(root_N**2, gain_N, edge())
  assert found == pytest.approx(0.4)
  gain_N[root_N == 1.0] += 0.1  # best .5, .75, 1, 1.25, 1.5
  squares = 0.25 + 0.5625 + 1 + 1.5625 + 2.25
  found = bows.efficiency(root_N**2, gain_N, edge())
  assert found == pytest.approx(0.4 + 0.1 / squares)


def test_an_efficiency_needs_its_whole_range():
  root_N = np.linspace(0, 3, 13)
  assert math.isnan(bows.efficiency(root_N**2, root_N, edge(last=1.49)))
  few = np.array([0, 0.5, 1.0, 1.5, 2.0])  # three points of the range
  assert math.isnan(bows.efficiency(few**2, few, edge()))
  assert math.isnan(bows.edge_at(edge(), [2.5])[0])
  assert bows.edge_at(edge(), [0.0, 0.5]) == pytest.approx([0, 0.5])
