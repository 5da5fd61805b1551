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


def pairwise_loss(score_chosen_B, score_rejected_B, weight_B=None):
  """Negative log-likelihood of the comparisons.

    loss = sum_b w_b log(1 + exp(r_rejected - r_chosen)) / sum_b w_b
         = mean_b -log P(chosen is preferred to rejected)  if all weigh alike

  With w = 1 for helpful pairs and lambda for harmless ones it is L_helpful +
  lambda L_harmless (Bai et al. 2022, section 5.1.2), each a sum over its pairs,
  up to a factor that Adam does not see.

  Args:
    score_chosen_B: [B], log-odds.
    score_rejected_B: [B], log-odds.
    weight_B: [B], above 0; None: all weigh alike.

  Returns:
    A float32 scalar, nats per pair; log 2 at chance. Finite for differences of
    any finite size.
  """
  chex.assert_rank([score_chosen_B, score_rejected_B], 1)
  loss_B = jax.nn.softplus(-_difference(score_chosen_B, score_rejected_B))
  if weight_B is None:
    return loss_B.mean()
  return (weight_B * loss_B).sum() / weight_B.sum()


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


def binary_loss(score_good_B, score_bad_B):
  """Negative log-likelihood of 'good' and 'bad', each sequence by itself.

    loss = mean_b 1/2 [-log sigmoid(r_good) - log sigmoid(-r_bad)]

  A score is the log-odds that a sequence is good, with a zero that means
  something: a shift of all scores changes the loss, unlike `pairwise_loss`.

  Reference: Askell et al. 2021 (arXiv:2112.00861), section 3, binary
  discrimination.

  Args:
    score_good_B: [B], log-odds.
    score_bad_B: [B], log-odds.

  Returns:
    A float32 scalar, nats per sequence; log 2 at chance.
  """
  chex.assert_rank([score_good_B, score_bad_B], 1)
  chex.assert_equal_shape([score_good_B, score_bad_B])
  good_B = jax.nn.softplus(-jnp.asarray(score_good_B, jnp.float32))
  bad_B = jax.nn.softplus(jnp.asarray(score_bad_B, jnp.float32))
  return (good_B.mean() + bad_B.mean()) / 2


def implicit_reward(logp_B, ref_logp_B, beta):
  """The reward for which a policy is the best one at a price of KL.

    r[b] = beta (log pi(reply | prompt) - log pi_0(reply | prompt))

  up to a number of the prompt, for the policy that maximises
  E r - beta KL(pi || pi_0).

  Reference: Rafailov et al. 2023 (arXiv:2305.18290), equation 5.

  Args:
    logp_B: [B], of whole replies under the policy, nats.
    ref_logp_B: [B], under the reference, frozen.
    beta: positive scalar, log-odds per nat.

  Returns:
    reward_B, float32, log-odds.
  """
  return beta * _difference(logp_B, ref_logp_B)


def direct_loss(
  logp_chosen_B, logp_rejected_B, ref_chosen_B, ref_rejected_B, *, beta
):
  """Direct preference optimisation: `pairwise_loss` of `implicit_reward`.

    loss = mean_b -log sigmoid(r_chosen - r_rejected)

  Reference: Rafailov et al. 2023 (arXiv:2305.18290), equation 7.

  Args:
    logp_chosen_B: [B], of the preferred replies under the policy, nats.
    logp_rejected_B: [B], of the others.
    ref_chosen_B: [B], of the preferred replies under the reference, frozen.
    ref_rejected_B: [B], of the others.
    beta: of `implicit_reward`.

  Returns:
    A float32 scalar, nats per pair; log 2 where policy and reference agree.
  """
  chosen_B = implicit_reward(logp_chosen_B, ref_chosen_B, beta)
  rejected_B = implicit_reward(logp_rejected_B, ref_rejected_B, beta)
  return pairwise_loss(chosen_B, rejected_B)


def candidates_loss(score_BC, rank_BC):
  """Negative log-likelihood of all comparisons among a prompt's candidates.

    loss = mean_b 1 / |P_b| sum_{(w, l) in P_b} -log sigmoid(r_w - r_l)
    P_b  = {(w, l): 0 <= rank_w < rank_l}

  All pairs of a prompt weigh as much as one: they are not independent. Without
  ties |P_b| = K (K - 1) / 2, and for two candidates this is `pairwise_loss`.
  Prompts without a pair do not count.

  Reference: Ouyang et al. 2022 (arXiv:2203.02155), section 3.5, equation 1.

  Args:
    score_BC: [B, C], log-odds.
    rank_BC: [B, C] int, 0 the best; equal: a tie; negative: no candidate.

  Returns:
    A float32 scalar, nats per comparison; log 2 at chance, 0 without any.
  """
  pair_BCC = _ranked_pairs(score_BC, rank_BC)
  gap_BCC = _gaps(score_BC, pair_BCC)
  return _mean_over_prompts(jax.nn.softplus(-gap_BCC), pair_BCC)


def candidates_accuracy(score_BC, rank_BC):
  """Fraction of `candidates_loss`'s pairs in the right order; a tie, half."""
  pair_BCC = _ranked_pairs(score_BC, rank_BC)
  right_BCC = 0.5 * (jnp.sign(_gaps(score_BC, pair_BCC)) + 1.0)
  return _mean_over_prompts(right_BCC, pair_BCC)


def best_of_loss(score_BC, rank_BC):
  """Negative log-likelihood of the pick of the best candidate.

    loss = mean_b -log softmax(r_b)[best],  over the candidates of a prompt

  It reads of a ranking which candidate is the best, and no more. Where several
  are, the mean over them is taken. Prompts that have no comparison in
  `candidates_loss` do not count.

  Reference: Ziegler et al. 2019 (arXiv:1909.08593), section 2.1, with four.

  Args:
    score_BC: [B, C], log-odds.
    rank_BC: as of `candidates_loss`.

  Returns:
    A float32 scalar, nats per pick; log K at chance, 0 without any.
  """
  counts_B = _ranked_pairs(score_BC, rank_BC).any((1, 2))
  there_BC = rank_BC >= 0
  score_BC = jnp.asarray(score_BC, jnp.float32)
  score_BC = jnp.where(counts_B[:, None], score_BC, 0.0)
  lowest = jnp.finfo(jnp.float32).min  # with chance 0, and no NaN behind it
  logp_BC = jax.nn.log_softmax(jnp.where(there_BC, score_BC, lowest), axis=1)
  first_B1 = jnp.where(there_BC, rank_BC, rank_BC.max()).min(1, keepdims=True)
  best_BC = there_BC & (rank_BC == first_B1) & counts_B[:, None]
  share_BC = best_BC / jnp.maximum(best_BC.sum(1, keepdims=True), 1)
  total = -jnp.where(best_BC, share_BC * logp_BC, 0.0).sum()
  return total / jnp.maximum(counts_B.sum(), 1)


def ranked_prompts(rank_BC):
  """Number of prompts with a pair of candidates of which one is better."""
  return _ranked_pairs(rank_BC, rank_BC).any((1, 2)).sum()


def _ranked_pairs(score_BC, rank_BC):
  """pair_BCC, True where candidate w is better than candidate l."""
  chex.assert_rank([score_BC, rank_BC], 2)
  chex.assert_equal_shape([score_BC, rank_BC])
  better_BCC = rank_BC[:, :, None] < rank_BC[:, None, :]
  return better_BCC & (rank_BC >= 0)[:, :, None]


def _gaps(score_BC, pair_BCC):
  """Score of w less that of l in float32; 0 where they are no pair."""
  score_BC = jnp.asarray(score_BC, jnp.float32)
  gap_BCC = score_BC[:, :, None] - score_BC[:, None, :]
  return jnp.where(pair_BCC, gap_BCC, 0.0)


def _mean_over_prompts(x_BCC, pair_BCC):
  """Mean over the pairs of each prompt, then over prompts that have some."""
  count_B = pair_BCC.sum((1, 2))
  sum_B = jnp.where(pair_BCC, x_BCC, 0.0).sum((1, 2))
  mean_B = sum_B / jnp.maximum(count_B, 1)
  return mean_B.sum() / jnp.maximum((count_B > 0).sum(), 1)


def _difference(score_a, score_b):
  """Returns score_a - score_b in float32."""
  chex.assert_equal_shape([score_a, score_b])
  return jnp.asarray(score_a, jnp.float32) - jnp.asarray(score_b, jnp.float32)
