"""The preference model's loss: Bradley and Terry on score differences.

A score is a log-odds up to a constant: P(a preferred to b) = sigmoid(a - b).
Reference: Bai et al. 2022 (arXiv:2204.05862), section 2.3; Askell et al. 2021
(arXiv:2112.00861), section 3.
"""

import chex
import jax
import jax.numpy as jnp


def preference_probability(score_a, score_b):
  """P(a is preferred to b) = sigmoid(score_a - score_b), float32."""
  return jax.nn.sigmoid(_difference(score_a, score_b))


def pairwise_loss(score_chosen_B, score_rejected_B):
  """Negative log-likelihood of the comparisons.

    loss = mean_b log(1 + exp(r_rejected - r_chosen))
         = mean_b -log P(chosen is preferred to rejected)

  Args:
    score_chosen_B: [B], log-odds.
    score_rejected_B: [B], log-odds.

  Returns:
    A float32 scalar, nats per pair; log 2 at chance. Finite for differences of
    any finite size.
  """
  chex.assert_rank([score_chosen_B, score_rejected_B], 1)
  return jax.nn.softplus(-_difference(score_chosen_B, score_rejected_B)).mean()


def pairwise_accuracy(score_chosen_B, score_rejected_B):
  """Fraction of pairs in the right order; a tie counts one half.

  Args:
    score_chosen_B: [B], log-odds.
    score_rejected_B: [B], log-odds.

  Returns:
    A float32 scalar in [0, 1].
  """
  chex.assert_rank([score_chosen_B, score_rejected_B], 1)
  difference_B = _difference(score_chosen_B, score_rejected_B)
  return (0.5 * (jnp.sign(difference_B) + 1.0)).mean()


def _difference(score_a, score_b):
  """Returns score_a - score_b in float32."""
  chex.assert_equal_shape([score_a, score_b])
  return jnp.asarray(score_a, jnp.float32) - jnp.asarray(score_b, jnp.float32)
