"""Blocks (pool, layer) of pooled features [N, P, L, D], side by side."""

import numpy as np


def columns(x_NPLD, blocks) -> np.ndarray:
  """The features of some blocks: [N, K] float64."""
  parts = [x_NPLD[:, pool, layer] for pool, layer in blocks]
  return np.concatenate(parts, 1).astype(np.float64)


def spread(x_NK) -> np.ndarray:
  """Standard deviation of each feature; 1 of one that has none."""
  deviation_K = x_NK.std(0)
  deviation_K[deviation_K == 0] = 1.0
  return deviation_K


def place(weight_PLD, blocks, weight_K) -> None:
  """Writes the weights of blocks where they belong, in place."""
  for (pool, layer), part in zip(
    blocks, np.split(weight_K, len(blocks)), strict=True
  ):
    weight_PLD[pool, layer] = part


def placed(weight_PLD, blocks) -> np.ndarray:
  """Weights that `place` has written, as it was given them."""
  parts = [weight_PLD[pool, layer] for pool, layer in blocks]
  return np.concatenate(parts)
