"""The prior of the top layer given the class: a mixture for each class.

    p(h | y) = sum_m pi_ym prod_i p_ymi(h_i)
    p_ymi = (1 - q_ymi) delta + q_ymi N(a_ymi, s_yi^2)

M components take up the style and the position of a digit. V0 and V1 read the
same components as Gaussians, with the mean and the variance of each unit.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.losses.spike_slab import Slab, slab_logp

SMOOTH = 0.5  # imagined members of a component, on and off
LEAST_SD = 0.05


class Prior(NamedTuple):
  """Components of all classes, those of a class in a row: K = Y M.

  Attributes:
    slab: Slab of [K, D].
    mean_KD: of units, on or off.
    sd_KD: likewise.
    log_weight_YM: log pi within the class.
  """

  slab: Slab
  mean_KD: jax.Array
  sd_KD: jax.Array
  log_weight_YM: jax.Array

  @property
  def components(self) -> int:
    """Number of components of a class."""
    return self.log_weight_YM.shape[1]

  @property
  def log_weights(self):
    """Log pi of every component."""
    return self.log_weight_YM.reshape(-1)

  @property
  def classes(self):
    """Class of every component."""
    return jnp.arange(self.log_weight_YM.size) // self.components


def component_logp(h_ND, slab: Slab):
  """Log-densities [N, M] of members [N, D] under slabs [M, D]."""
  each = jax.vmap(lambda h_D: slab_logp(h_D, slab).sum(axis=-1))
  return each(h_ND)


def maximise(h_ND, weight_NM):
  """M-step: (Slab, log pi) that fit members with responsibilities.

    q = (sum_n r on + SMOOTH) / (sum_n r + 2 SMOOTH)
    a = (sum_n r h + SMOOTH abar) / (sum_n r on + SMOOTH)
    s^2 = sum_nm r on (h - a_m)^2 / sum_nm r on, of a unit, in all components

  abar is the mean of the unit over all members in which it is on.
  """
  on_ND = (h_ND > 0).astype(h_ND.dtype)
  size_M1 = weight_NM.sum(axis=0)[:, None]
  on_MD, sum_MD = weight_NM.T @ on_ND, weight_NM.T @ h_ND
  centre_D = h_ND.sum(axis=0) / jnp.maximum(on_ND.sum(axis=0), 1.0)
  mean_MD = (sum_MD + SMOOTH * centre_D) / (on_MD + SMOOTH)
  # sum r on (h - a)^2 = sum r h^2 - 2 a sum r h + a^2 sum r on
  square_MD = weight_NM.T @ h_ND**2 - 2 * mean_MD * sum_MD + mean_MD**2 * on_MD
  variance_D = square_MD.sum(axis=0) / jnp.maximum(on_MD.sum(axis=0), 1.0)
  sd_D = jnp.sqrt(jnp.maximum(variance_D, LEAST_SD**2))
  q_MD = (on_MD + SMOOTH) / (size_M1 + 2 * SMOOTH)
  slab = Slab(jax.scipy.special.logit(q_MD), mean_MD, sd_D + 0 * mean_MD)
  size_M = size_M1[:, 0] + SMOOTH
  return slab, jnp.log(size_M / size_M.sum())


def fit_class(h_ND, first_M, steps):
  """EM for the mixture of one class.

  Args:
    h_ND: its top layers.
    first_M: members that begin a component each.
    steps: of EM.

  Returns:
    (Slab of [M, D], log_weight_M, log-likelihood after each step).
  """
  apart_NM = ((h_ND[:, None] - h_ND[first_M][None]) ** 2).sum(axis=-1)
  nearest_NM = jax.nn.one_hot(jnp.argmin(apart_NM, axis=1), len(first_M))

  def step(weight_NM, _):
    slab, log_weight_M = maximise(h_ND, weight_NM)
    joint_NM = component_logp(h_ND, slab) + log_weight_M
    logp_N = jax.nn.logsumexp(joint_NM, axis=1)
    return jnp.exp(joint_NM - logp_N[:, None]), logp_N.sum()

  weight_NM, logp_S = jax.lax.scan(step, nearest_NM, None, length=steps)
  return (*maximise(h_ND, weight_NM), logp_S)


def mixed(prior: Prior, components_NM, weight_NM):
  """(Slab [N, D], mean_ND) of mixtures of components, by their moments.

    q = sum_m r_m q_m,   a = sum_m r_m q_m a_m / q
    s^2 = sum_m r_m q_m (s_m^2 + a_m^2) / q - a^2

  The mean is that of units, on or off: sum_m r_m mean_m.

  Args:
    prior: Prior.
    components_NM: numbers of components.
    weight_NM: r, which sum to 1 over M.
  """
  mix = lambda x_KD: jnp.einsum('nm,nmd->nd', weight_NM, x_KD[components_NM])
  q_KD = jax.nn.sigmoid(prior.slab.logit)
  q_ND = mix(q_KD)
  mean_ND = mix(q_KD * prior.slab.mean) / q_ND
  square_ND = mix(q_KD * (prior.slab.sd**2 + prior.slab.mean**2)) / q_ND
  variance_ND = jnp.maximum(square_ND - mean_ND**2, LEAST_SD**2)
  logit_ND = jnp.log(q_ND) - jnp.log(mix(1 - q_KD))
  slab = Slab(logit_ND, mean_ND, jnp.sqrt(variance_ND))
  return slab, mix(prior.mean_KD)


def make_prior(parts) -> Prior:
  """Prior of the (Slab, log_weight_M) of each class, in order."""
  slab = Slab(
    *(jnp.concatenate(x) for x in zip(*(s for s, _ in parts), strict=True))
  )
  q_KD = jax.nn.sigmoid(slab.logit)
  mean_KD = q_KD * slab.mean
  # E h^2 - (E h)^2 of spike and slab
  variance_KD = q_KD * slab.sd**2 + q_KD * (1 - q_KD) * slab.mean**2
  return Prior(
    slab,
    mean_KD,
    jnp.sqrt(jnp.maximum(variance_KD, LEAST_SD**2)),
    jnp.stack([log_weight_M for _, log_weight_M in parts]),
  )
