"""Spike-and-slab units in front of a background: densities and posteriors.

Part of the generative model of activations (`models/cnn`), a reconstruction
after Wang et al. 2016, of which the method section could not be read.

A unit of an object is off with probability 1 - q, and else on with a value a:

    p(a) = (1 - q) delta(a) + q N(a; m, s^2)

(the slab's mass below 0 is neglected). An object that is on stands in front of
the background and is read with noise, one that is off shows the background:

    p(v | on)  = MISSED if v = 0, else (1 - MISSED) N(v; m, s^2 + s^2 / k)
    p(v | off) = 1 - b  if v = 0, else b N(v; m_b, s_b^2)

v is what the classifier computes, k the trust: the precision of a reading over
that of the slab.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

MISSED = 1e-3  # P(a unit that is on is read as 0)
LOG_2PI = 1.8378770664093453


class Slab(NamedTuple):
  """Units before they are read, arrays that broadcast against them.

  Attributes:
    logit: log q / (1 - q).
    mean: m of a unit that is on.
    sd: s likewise, above 0.
  """

  logit: jax.Array
  mean: jax.Array
  sd: jax.Array


def normal_logp(x, mean, sd):
  """Log-density: log N(x; mean, sd^2), nats."""
  return -0.5 * (((x - mean) / sd) ** 2 + LOG_2PI) - jnp.log(sd)


def slab_logp(value, slab: Slab):
  """Log-density of clean units, with respect to a point at 0 and length.

    log p(a) = log (1 - q) if a = 0, else log q + log N(a; m, s^2)

  Args:
    value: a, at least 0, any shape.
    slab: of these units.

  Returns:
    The same shape, nats.
  """
  on = value > 0
  x = jnp.where(on, value, slab.mean)  # no gradient of what is not chosen
  inside = jax.nn.log_sigmoid(slab.logit) + normal_logp(x, slab.mean, slab.sd)
  return jnp.where(on, inside, jax.nn.log_sigmoid(-slab.logit))


def expected(slab: Slab):
  """Mean of units before they are read: q max(m, 0)."""
  return jax.nn.sigmoid(slab.logit) * jnp.maximum(slab.mean, 0.0)


def read_on_logp(value, slab: Slab, trust):
  """Log-density log p(v | on): a reading of a unit whose object is on."""
  wide = slab.sd * jnp.sqrt(1 + 1 / trust)
  inside = jnp.log1p(-MISSED) + normal_logp(value, slab.mean, wide)
  return jnp.where(value > 0, inside, jnp.log(MISSED))


def read_off_logp(value, background: Slab):
  """Log-density log p(v | off): a reading of the background."""
  return slab_logp(value, background)


def log_odds(value, slab: Slab, background: Slab, share, trust):
  """Log-odds that a reading is the object's.

    log o = logit q + share (log p(v | on) - log p(v | off))

  The share of the receptive field that is observed tempers the evidence: 0
  leaves the prior, 1 is Bayes' rule.

  Args:
    value: v, any shape.
    slab: of the object.
    background: of what stands behind it.
    share: in [0, 1], broadcasts.
    trust: k, above 0.

  Returns:
    The shape of v, nats.
  """
  evidence = read_on_logp(value, slab, trust)
  evidence -= read_off_logp(value, background)
  return slab.logit + share * evidence


def explain_away(log_odds_KN):
  """Responsibilities of K objects for each unit, the background the rest.

    w_k = o_k / (1 + sum_j o_j)

  One object has the sigmoid of its log-odds.

  Args:
    log_odds_KN: [K, ...], against the background.

  Returns:
    w_KN, which sum to at most 1 over K.
  """
  none_N = jnp.zeros_like(log_odds_KN[:1])
  every = jnp.concatenate([log_odds_KN, none_N])
  return jax.nn.softmax(every, axis=0)[:-1]


def fused(value, slab: Slab, share, trust):
  """Mean of a unit that is on, given its reading: weights are precisions.

    (share k v + m) / (share k + 1),   m alone where v = 0 or share = 0

  Never below 0.
  """
  weight = jnp.where(value > 0, share * trust, 0.0)
  return jnp.maximum((weight * value + slab.mean) / (weight + 1), 0.0)


def read_logp(value, slab: Slab, background: Slab, share, trust):
  """Evidence for an object in each unit, against the background alone.

    share (log (q p(v | on) + (1 - q) p(v | off)) - log p(v | off))

  Its sum over units is the log of the ratio of likelihoods of what is read.
  """
  odds = log_odds(value, slab, background, 1.0, trust)
  chex.assert_equal_shape([odds, value + slab.logit])
  both = jnp.logaddexp(odds, 0.0) - jnp.logaddexp(slab.logit, 0.0)
  return share * both
