"""ReLU states and pool positions as latent variables.

The layer below is rendered from values g, states z in {0, 1} and positions t:

    h ~ N(R(g, z, t), s^2 I),   R(g, z, t) = sum_j z_j g_j w_{j, t_j}
    p(z, t | g) ~ exp((|R(g, z, t)|^2 / 2 + sum_j z_j g_j b_{j, t_j}) / s^2)

The prior of the states is that of the neural rendering model (Ho et al. 2018,
arXiv:1811.02657): it cancels the square of the rendered layer, so that

    s^2 log p(h, z, t | g) = sum_j z_j g_j u_{j, t_j} + const,
    u_{j, t} = <w_{j, t}, h> + b_{j, t}

for any templates w, orthogonal or not. u is what the classifier computes before
its ReLU. The largest posterior therefore has, unit by unit,

    t_j = argmax_t g_j u_{j, t},   z_j = 1[g_j u_{j, t_j} > 0]

which for g > 0 is max-pooling and ReLU, and for g < 0 takes the smallest u (the
rule of CNN-F, Huang et al. 2020, arXiv:2007.09200).
"""

import jax
import jax.numpy as jnp

from rlhf_jax.models.cnn.pooling import PLACES, windows


def joint_score(value_N, pre_NT, on_N, place_N):
  """Score of states: s^2 log p(h, z, t | g), up to a constant.

    sum_j z_j g_j u_{j, t_j}

  Args:
    value_N: g, sent down from above.
    pre_NT: u at each position.
    on_N: z, 0 or 1.
    place_N: t, whole numbers below T.
  """
  chosen_N = jnp.take_along_axis(pre_NT, place_N[:, None], axis=1)[:, 0]
  return (on_N * value_N * chosen_N).sum()


def decide_dense(value_BD, pre_BD, share_B1):
  """States of units without windows: 1[g (s u + (1 - s) g) > 0].

  Where nothing is observed (s = 0) the value from above decides alone.
  """
  seen_BD = share_B1 * pre_BD + (1 - share_B1) * value_BD
  return (value_BD * seen_BD > 0).astype(jnp.float32)


def decide(value_BHWC, pre_BHWC, share_BHW1):
  """States and positions of the largest posterior.

    t = argmax_t g u_t,   z = 1[g (s u_t + (1 - s) g) > 0]

  Where only a share s of the receptive field is observed the position is that
  with weight s and any of the four with weight 1 - s.

  Args:
    value_BHWC: g, of pooled units.
    pre_BHWC: u, [B, 2 H, 2 W, C].
    share_BHW1: s, of pooled units.

  Returns:
    (on_BHWC, place_BHWPC): z, and weights of the four positions.
  """
  score = value_BHWC[:, :, :, None] * windows(pre_BHWC)
  best = jax.nn.one_hot(jnp.argmax(score, axis=3), PLACES, axis=3)
  seen = (best * windows(pre_BHWC)).sum(axis=3)
  seen = share_BHW1 * seen + (1 - share_BHW1) * value_BHWC
  on = (value_BHWC * seen > 0).astype(jnp.float32)
  share = share_BHW1[:, :, :, None]
  return on, share * best + (1 - share) / PLACES
