"""One reward of several preference models, more careful than any of them.

A score has no zero of its own, so that of each model has to be taken from a
common one first: its mean over replies of pi_0 (`centred`).

Reference: Coste et al. 2023 (arXiv:2310.02743), section 3.
"""

import chex
import jax.numpy as jnp

WAYS = ('mean', 'min', 'variance')


def centred(score_NB, centre_N):
  """Scores of N models less the mean that each has under pi_0, float32."""
  chex.assert_rank([score_NB, centre_N], [2, 1])
  chex.assert_equal_shape_prefix([score_NB, centre_N], 1)
  return jnp.asarray(score_NB, jnp.float32) - centre_N[:, None]


def combined(score_NB, way, coef=0.0):
  """The reward of each reply.

    mean      mean_n r[n, b]
    min       min_n r[n, b]: the worst case
    variance  mean_n r[n, b] - coef mean_n (r[n, b] - mean_n r[n, b])^2

  Args:
    score_NB: [N, B], of N models, from a common zero, log-odds.
    way: one of WAYS.
    coef: of the variance, 1 / log-odds; Coste et al. have .5 for best-of-n and
      .1 for PPO.

  Returns:
    reward_B, float32, log-odds.

  Raises:
    ValueError: if there is no such way.
  """
  chex.assert_rank(score_NB, 2)
  score_NB = jnp.asarray(score_NB, jnp.float32)
  if way == 'mean':
    return score_NB.mean(0)
  if way == 'min':
    return score_NB.min(0)
  if way == 'variance':
    return score_NB.mean(0) - coef * score_NB.var(0)
  raise ValueError(f'wanted a way of {WAYS}, got {way!r}')
