"""The divergence of the policy from its reference, KL(policy || reference).

`kl_exact` sums over the vocabulary at every prefix; it is the x-axis of every
figure. `kl_k1`, `kl_k2` and `kl_k3` see one sampled token, and with
log r = ref_logp - logp and tokens drawn from the policy:

    estimator          mean           grad of mean,      mean of k * grad logp
                                      sample held fixed  (k inside the reward)
    k1 = -log r        KL             0: biased          grad KL: unbiased
    k2 = (log r)^2/2   not KL         grad KL: unbiased  biased
    k3 = r - 1 - log r KL             that of            biased
                                      KL(ref || policy)

So k1 belongs in the reward, k2 in a loss, k3 (never negative, low variance) in
a log. Reference for k1, k2, k3: Schulman 2020, "Approximating KL divergence".

The log ratio is clamped to +-MAX_LOG_RATIO, so a token that one side thinks
impossible gives a large finite number with no gradient.
"""

import numbers

import chex
import jax.numpy as jnp

from rlhf_jax.losses import language

# Nats. Odds of exp(30) = 1e13 to 1: well below what float32 logits resolve,
# and exp(30) squared is still finite in float32.
MAX_LOG_RATIO = 30.0

# Bounds of the relative error that the adaptive coefficient reacts to.
MAX_KL_ERROR = 0.2


def kl_k1(logp, ref_logp):
  """Returns -log r = logp - ref_logp: nats, any shape, may be negative."""
  return -_log_ratio(logp, ref_logp)


def kl_k2(logp, ref_logp):
  """Returns (log r)^2 / 2: nats, any shape, never negative."""
  return 0.5 * jnp.square(_log_ratio(logp, ref_logp))


def kl_k3(logp, ref_logp):
  """Returns r - 1 - log r: nats, any shape, never negative."""
  log_ratio = _log_ratio(logp, ref_logp)
  # Never negative on paper; expm1 may round one unit too low.
  return jnp.maximum(jnp.expm1(log_ratio) - log_ratio, 0.0)


def kl_exact(logits_BTV, ref_logits_BTV, temperature=1.0):
  """Full-vocabulary divergence of the distribution of each token.

    KL[b, t] = sum_v p (log p - log q),   p, q = softmax(logits[b, t - 1] / T)

  Each log p - log q is clamped to +-MAX_LOG_RATIO, so that the sum is finite
  when the reference rules a token out (a logit of -inf).

  Args:
    logits_BTV: [B, T, V], the policy's; position t predicts token t + 1.
    ref_logits_BTV: [B, T, V], the reference's.
    temperature: positive scalar T, the one that the tokens were sampled at.

  Returns:
    kl_BT, float32, nats per token, never negative; column 0 is 0.

  Raises:
    ValueError: if the temperature is a Python number that is not positive.
  """
  chex.assert_equal_shape([logits_BTV, ref_logits_BTV])
  logp_BSV = language.prefix_log_softmax(logits_BTV, temperature)
  ref_logp_BSV = language.prefix_log_softmax(ref_logits_BTV, temperature)
  term_BSV = jnp.exp(logp_BSV) * kl_k1(logp_BSV, ref_logp_BSV)
  # Never negative on paper; the sum may round below zero.
  return language.align(jnp.maximum(term_BSV.sum(axis=-1), 0.0))


def adaptive_kl_coef(coef, kl, episodes, target, horizon):
  """The coefficient after `episodes` more episodes at divergence `kl`.

    error = clip(kl / target - 1, -0.2, 0.2)
    coef' = coef * (1 + error * episodes / horizon)

  Reference: Ziegler et al. 2019 (arXiv:1909.08593), section 2.2. Bai et al.
  2022 keep the coefficient fixed.

  Args:
    coef: the coefficient so far.
    kl: measured divergence, nats per reply.
    episodes: replies (not tokens, not updates) since the last adjustment.
    target: wanted divergence, nats per reply, positive.
    horizon: episodes over which a full error would change coef by 20 percent.

  Returns:
    The new coefficient, a float32 scalar.

  Raises:
    ValueError: if target or horizon is a Python number that is not positive.
  """
  for name, value in (('target', target), ('horizon', horizon)):
    if isinstance(value, numbers.Real) and not value > 0:
      raise ValueError(f'{name} must be positive, got {value}')
  error = jnp.clip(kl / target - 1.0, -MAX_KL_ERROR, MAX_KL_ERROR)
  return coef * (1.0 + error * episodes / horizon)


def _log_ratio(logp, ref_logp):
  """Returns log r = ref_logp - logp, clamped to +-MAX_LOG_RATIO."""
  chex.assert_equal_shape([logp, ref_logp])
  logp = jnp.asarray(logp, jnp.float32)
  ref_logp = jnp.asarray(ref_logp, jnp.float32)
  return jnp.clip(ref_logp - logp, -MAX_LOG_RATIO, MAX_LOG_RATIO)
