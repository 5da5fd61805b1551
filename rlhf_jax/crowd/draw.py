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


def pick_family(rng, config, kind, harmful, helpful, cumulative=None):
  """Name of a family of requests.

  Args:
    rng: numpy Generator.
    config: of the world: `harmful_share` of requests, from the first
      `harmful_families`; `followup_share` of the helpful ones, which are of the
      family 'followup'.
    kind: 'helpful', 'harmful', or None to draw it.
    harmful: names of the harmful families, drawn evenly.
    helpful: names of the helpful ones.
    cumulative: probabilities of those, or None for evenly.
  """
  if kind is None:
    asks_for_harm = rng.random() < config.harmful_share
  else:
    asks_for_harm = kind == 'harmful'
  if asks_for_harm:
    return pick(rng, harmful[: config.harmful_families])
  if rng.random() < config.followup_share:
    return 'followup'
  return pick(rng, helpful, cumulative)
