"""Losses over batches, and how their gradients are taken.

A step descends one objective, or the weighted sum of two on batches of their
own. Where adapters are trained, an objective is a function of whole parameters
still, and `combine(base, trained)` makes those of a frozen base and of what has
gradients.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.losses import chunked, distillation, masked, preference
from rlhf_jax.train.optimiser import accumulate_gradients


class Objective(NamedTuple):
  """A loss that is a mean over something, and how much of it a batch holds.

  Attributes:
    loss_fn: (params, batch) -> (loss, metrics dict of scalars).
    weight_fn: batch -> [] how many tokens, rows or prompts the mean is over.
    microbatches: parts of a batch that gradients are accumulated over.
  """

  loss_fn: Any
  weight_fn: Any
  microbatches: int = 1


def whole(base, trained):
  """Combination of full training: what is trained is all there is."""
  del base
  return trained


def gradients(objective, params, batch, base=None, combine=whole):
  """(gradients, metrics with 'loss') of an objective at combine(base, params).

  Args:
    objective: Objective.
    params: what gets gradients.
    batch: of the objective.
    base: frozen parameters, or None.
    combine: (base, params) -> the parameters of the objective.
  """

  def loss_fn(params, part, base):
    return objective.loss_fn(combine(base, params), part)

  return accumulate_gradients(
    loss_fn,
    params,
    batch,
    objective.weight_fn,
    objective.microbatches,
    base,
  )


def mixed_gradients(objective, mixed, params, batch, coef, base, combine):
  """(gradients, metrics) of an objective, or of its sum with another.

    g = g_1 + coef g_2

  Args:
    objective: of `gradients`.
    mixed: Objective of the second loss, whose metrics are named mixed_....;
      None: there is none.
    params: of `gradients`.
    batch: of the objective; with `mixed`, a MixedBatch.
    coef: weight of the second loss; a traced scalar.
    base: of `gradients`.
    combine: of `gradients`.
  """
  if mixed is None:
    return gradients(objective, params, batch, base, combine)
  grads, metrics = gradients(objective, params, batch.batch, base, combine)
  others, other_metrics = gradients(mixed, params, batch.mixed, base, combine)
  grads = jax.tree.map(lambda g, other: g + coef * other, grads, others)
  named = {f'mixed_{name}': value for name, value in other_metrics.items()}
  return grads, {**metrics, **named}


def language_objective(logits_fn, *, microbatches=1, packed=False):
  """Objective of next-token training: mean nats over the tokens that count.

    L = - sum_{b, t} m[b, t] log p(x[b, t] | x[b, < t]) / sum m

  with m = 1 for max(1, loss_start) <= t < length: all tokens in pretraining,
  the reply in supervised finetuning. Packed rows bring their own m.

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV, or a SplitModel,
      whose logits are made in chunks. It takes segment_BT too if packed.
    microbatches: see `Objective`.
    packed: whether the batches are `data.packing.PackedBatch`, several texts a
      row, in place of LMBatch.
  """
  model = chunked.split_model(logits_fn)

  def mask_of(batch):
    if packed:
      return batch.mask_BT
    T = batch.tokens_BT.shape[1]
    start_B = jnp.maximum(batch.loss_start_B, 1)
    return masked.reply_mask(start_B, batch.length_B, T)

  def loss_fn(params, batch):
    segments = (batch.segment_BT,) if packed else ()
    hidden_BTD = model.hidden_fn(
      params, batch.tokens_BT, batch.length_B, *segments
    )
    loss = chunked.next_token_loss(
      model, params, hidden_BTD, batch.tokens_BT, mask_of(batch)
    )
    return loss, {}

  return Objective(loss_fn, lambda part: mask_of(part).sum(), microbatches)


def distil_objective(logits_fn, *, microbatches=1):
  """Objective of context distillation: mean nats over all tokens but the first.

    L = sum_{b, t} KL[b, t] / sum_b (length[b] - 1),  1 <= t < length

  with KL of `distillation.bucketed_kl`.

  Reference: Bai et al. 2022, appendix A.1.

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV, of the student.
    microbatches: see `Objective`.
  """

  def mask_of(batch):
    first_B = jnp.ones_like(batch.length_B)
    return masked.reply_mask(first_B, batch.length_B, batch.tokens_BT.shape[1])

  def loss_fn(params, batch):
    logits_BTV = logits_fn(params, batch.tokens_BT, batch.length_B)
    kl_BT = distillation.bucketed_kl(
      logits_BTV, batch.target_logp_BTC, batch.target_id_BTK
    )
    return masked.masked_mean(kl_BT, mask_of(batch)), {}

  return Objective(loss_fn, lambda part: mask_of(part).sum(), microbatches)


def score_pairs(score_fn, params, batch):
  """Scores of both sides in one forward pass: (chosen_B, rejected_B)."""
  B = batch.chosen_length_B.shape[0]
  tokens = jnp.concatenate([batch.chosen_tokens_BT, batch.rejected_tokens_BT])
  length = jnp.concatenate([batch.chosen_length_B, batch.rejected_length_B])
  score = score_fn(params, tokens, length)
  return score[:B], score[B:]


def preference_objective(
  score_fn,
  *,
  microbatches=1,
  shared=False,
  loss_of=preference.pairwise_loss,
):
  """Objective of a preference model on comparisons.

    L = mean log(1 + exp(r_rejected - r_chosen))

  Reference: Bai et al. 2022, section 3.1; Askell et al. 2021, section 2.

  Args:
    score_fn: (params, tokens_BT, length_B) -> score_B, log-odds; if shared,
      (params, SharedPairs) -> (chosen_B, rejected_B).
    microbatches: see `Objective`.
    shared: whether the batches are SharedPairs, or WeightedPairs, in place of
      PairBatch.
    loss_of: (chosen_B, rejected_B) -> L, of WeightedPairs with weight_B behind
      them; `preference.binary_loss` for binary discrimination, where each side
      is judged by itself.

  Returns:
    Objective, with the metrics `accuracy` and `score` (mean).
  """
  scores_of = score_fn if shared else functools.partial(score_pairs, score_fn)

  def loss_fn(params, batch):
    chosen_B, rejected_B = scores_of(params, batch)
    weights = (
      () if getattr(batch, 'weight_B', None) is None else (batch.weight_B,)
    )
    loss = loss_of(chosen_B, rejected_B, *weights)
    accuracy = preference.pairwise_accuracy(chosen_B, rejected_B)
    score = (chosen_B.mean() + rejected_B.mean()) / 2
    return loss, {'accuracy': accuracy, 'score': score}

  def weight_fn(part):
    if hasattr(part, 'weight_B'):
      return part.weight_B.sum()
    return jnp.float32(jax.tree.leaves(part)[0].shape[0])

  return Objective(loss_fn, weight_fn, microbatches)


def ranking_objective(
  candidate_score_fn,
  *,
  microbatches=1,
  loss_of=preference.candidates_loss,
):
  """Objective of a preference model on C candidates of each prompt, in order.

    L = `preference.candidates_loss`: over all pairs of a prompt's candidates

  Reference: Ouyang et al. 2022 (arXiv:2203.02155), section 3.5.

  Args:
    candidate_score_fn: (params, SharedCandidates) -> score_BC, log-odds.
    microbatches: see `Objective`.
    loss_of: (score_BC, rank_BC) -> L, a mean over `ranked_prompts`;
      `preference.best_of_loss` for the pick of the best alone.

  Returns:
    Objective, with the metrics `accuracy` and `score` (mean over candidates).
  """

  def loss_fn(params, batch):
    score_BC = candidate_score_fn(params, batch)
    loss = loss_of(score_BC, batch.rank_BC)
    accuracy = preference.candidates_accuracy(score_BC, batch.rank_BC)
    score = masked.masked_mean(score_BC, batch.rank_BC >= 0)
    return loss, {'accuracy': accuracy, 'score': score}

  prompts = lambda part: preference.ranked_prompts(part.rank_BC)
  return Objective(loss_fn, prompts, microbatches)
