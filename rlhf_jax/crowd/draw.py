"""Draws that every world makes: by popularity, or evenly."""

import bisect

import numpy as np


def zipf_cumulative(n, exponent):
  """Cumulative probabilities of ranks 1 .. n under p ~ rank ** -exponent."""
  weights = np.arange(1, n + 1, dtype=np.float64) ** -exponent
  return tuple((np.cumsum(weights) / weights.sum()).tolist())


def pick(rng, items, cumulative=None):
  """One of `items`: uniform, or by `cumulative` probabilities."""
  draw = rng.random()
  if cumulative is None:
    return items[int(draw * len(items))]
  return items[min(bisect.bisect_right(cumulative, draw), len(items) - 1)]
