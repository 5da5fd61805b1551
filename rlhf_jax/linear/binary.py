"""A binary head: the best replies to their prompts, told from the rest.

    P(a reply is good) = sigmoid(w . f + b)

Each reply is an example by itself: what else was said to its prompt is not
seen. The score of a reply is w . f + b. How a head of pairs is fitted to the
same features is in `head`.
"""

import math

import numpy as np

from rlhf_jax.linear import head, logistic
from rlhf_jax.linear.blocks import columns, place, spread
from rlhf_jax.linear.folds import grouped_folds
from rlhf_jax.linear.head import ROUGH, Choice, Head, zero_head


def fit(reply_NPLD, good_N, group_N, settings: head.Settings, rng):
  """(Head, Choice) of replies, everything chosen on folds of these alone.

  Features are centred and divided by their standard deviation. Blocks and
  penalty are those with the least held-out log loss of the labels, over folds
  that share no group; the penalty is on the weights and not on b.

  Args:
    reply_NPLD: pooled features of the replies.
    good_N: bool, both kinds of them there.
    group_N: conversation of each reply.
    settings: Settings, without a condition.
    rng: NumPy generator, of the folds.

  Raises:
    ValueError: if all replies are good, or none is, in what some fold leaves;
      or there is a condition.
  """
  if settings.conditional:
    raise ValueError('wanted settings without a condition')
  good_N = np.asarray(good_N, bool)
  fold_N = grouped_folds(group_N, settings.folds, rng)
  for fold in range(settings.folds):
    if len(set(good_N[fold_N != fold])) < 2:
      raise ValueError(
        f'wanted good and other replies outside of every fold, got '
        f'{good_N.sum()} good ones of {len(good_N)}: take more prompts'
      )
  tried = [
    (*_least_loss(reply_NPLD, good_N, fold_N, blocks, settings.l2s), blocks)
    for blocks in settings.candidates
  ]
  loss, l2, blocks = min(tried, key=lambda found: found[0])
  return (
    _head(reply_NPLD, good_N, blocks, l2),
    Choice(blocks, l2, loss, math.nan),
  )


def _least_loss(reply_NPLD, good_N, fold_N, blocks, l2s):
  """(held-out loss, penalty) of the best penalty for some blocks."""
  x_NK, total = columns(reply_NPLD, blocks), dict.fromkeys(l2s, 0.0)
  sign_N = np.where(good_N, 1.0, -1.0)
  for fold in np.unique(fold_N):
    inside_N = fold_N != fold
    mean_K, deviation_K = x_NK[inside_N].mean(0), spread(x_NK[inside_N])
    scaled_NK = (x_NK - mean_K) / deviation_K
    for l2, weight_K, offset in logistic.path_classes(
      scaled_NK[inside_N], good_N[inside_N], sorted(l2s, reverse=True), ROUGH
    ):
      logit_N = scaled_NK[~inside_N] @ weight_K + offset
      total[l2] += np.logaddexp(0.0, -sign_N[~inside_N] * logit_N).sum()
  l2 = min(total, key=total.get)
  return total[l2] / len(fold_N), l2


def _head(reply_NPLD, good_N, blocks, l2) -> Head:
  """The Head on raw features."""
  x_NK = columns(reply_NPLD, blocks)
  mean_K, deviation_K = x_NK.mean(0), spread(x_NK)
  scaled_NK = (x_NK - mean_K) / deviation_K
  weight_K, offset = logistic.fit_classes(scaled_NK, good_N, l2)
  weight_K = weight_K / deviation_K
  head = zero_head(*reply_NPLD.shape[1:])
  place(head.weight_CPLD[0], blocks, weight_K)
  head.offset_C[0] = offset - mean_K @ weight_K
  return head
