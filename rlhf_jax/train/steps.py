"""Training steps of the language model and the preference model."""

import functools

import jax
import jax.numpy as jnp
import optax

from rlhf_jax.losses import chunked, masked, preference
from rlhf_jax.train.optimiser import accumulate_gradients, apply_updates
from rlhf_jax.types import TrainState


def init_state(params, tx):
  """TrainState at step 0."""
  return TrainState(jnp.int32(0), params, tx.init(params))


def advance(state, grads, tx, learning_rate):
  """One optimiser update: (new state, global gradient norm)."""
  updates, opt_state = tx.update(grads, state.opt_state, state.params)
  params = apply_updates(state.params, updates, learning_rate)
  return TrainState(state.step + 1, params, opt_state), optax.tree.norm(grads)


def make_lm_step(logits_fn, tx, *, microbatches=1, packed=False):
  """Next-token training: mean nats over the tokens that count.

    L = - sum_{b, t} m[b, t] log p(x[b, t] | x[b, < t]) / sum m

  with m = 1 for max(1, loss_start) <= t < length: all tokens in pretraining,
  the reply in supervised finetuning. Packed rows bring their own m.

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV, or a SplitModel,
      whose logits are made in chunks. It takes segment_BT too if packed.
    tx: optimiser of `make_optimiser`.
    microbatches: gradients are accumulated over this many parts of the batch.
    packed: whether the batches are `data.packing.PackedBatch`, several texts a
      row, in place of LMBatch.

  Returns:
    step(state, batch, rng, LMHyper) -> (state, metrics): `loss` (nats per
    token), `grad_norm`.
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

  return _make_step(loss_fn, lambda part: mask_of(part).sum(), tx, microbatches)


def score_pairs(score_fn, params, batch):
  """Scores of both sides in one forward pass: (chosen_B, rejected_B)."""
  B = batch.chosen_length_B.shape[0]
  tokens = jnp.concatenate([batch.chosen_tokens_BT, batch.rejected_tokens_BT])
  length = jnp.concatenate([batch.chosen_length_B, batch.rejected_length_B])
  score = score_fn(params, tokens, length)
  return score[:B], score[B:]


def make_pm_step(score_fn, tx, *, microbatches=1, shared=False):
  """Preference-model training on comparisons.

    L = mean log(1 + exp(r_rejected - r_chosen))

  Reference: Bai et al. 2022, section 3.1; Askell et al. 2021, section 2.

  Args:
    score_fn: (params, tokens_BT, length_B) -> score_B, log-odds; if shared,
      (params, SharedPairs) -> (chosen_B, rejected_B).
    tx: optimiser of `make_optimiser`.
    microbatches: gradients are accumulated over this many parts of the batch.
    shared: whether the batches are SharedPairs in place of PairBatch.

  Returns:
    step(state, batch, rng, PMHyper) -> (state, metrics): `loss` (nats a
    pair), `accuracy`, `score` (mean), `grad_norm`.
  """
  scores_of = score_fn if shared else functools.partial(score_pairs, score_fn)

  def loss_fn(params, batch):
    chosen_B, rejected_B = scores_of(params, batch)
    loss = preference.pairwise_loss(chosen_B, rejected_B)
    accuracy = preference.pairwise_accuracy(chosen_B, rejected_B)
    score = (chosen_B.mean() + rejected_B.mean()) / 2
    return loss, {'accuracy': accuracy, 'score': score}

  rows = lambda part: jnp.float32(jax.tree.leaves(part)[0].shape[0])
  return _make_step(loss_fn, rows, tx, microbatches)


def make_ranking_step(candidate_score_fn, tx, *, microbatches=1):
  """Preference-model training on C candidates of each prompt, in an order.

    L = `preference.candidates_loss`: over all pairs of a prompt's candidates

  Reference: Ouyang et al. 2022 (arXiv:2203.02155), section 3.5.

  Args:
    candidate_score_fn: (params, SharedCandidates) -> score_BC, log-odds.
    tx: optimiser of `make_optimiser`.
    microbatches: gradients are accumulated over this many parts of the batch.

  Returns:
    step(state, batch, rng, PMHyper) -> (state, metrics) as of `make_pm_step`;
    `loss` in nats a comparison, `score` over the candidates.
  """

  def loss_fn(params, batch):
    score_BC = candidate_score_fn(params, batch)
    loss = preference.candidates_loss(score_BC, batch.rank_BC)
    accuracy = preference.candidates_accuracy(score_BC, batch.rank_BC)
    score = masked.masked_mean(score_BC, batch.rank_BC >= 0)
    return loss, {'accuracy': accuracy, 'score': score}

  prompts = lambda part: preference.ranked_prompts(part.rank_BC)
  return _make_step(loss_fn, prompts, tx, microbatches)


def _make_step(loss_fn, weight_fn, tx, microbatches):
  """Builds the step that descends a loss; see `accumulate_gradients`."""

  def step(state, batch, rng, hyper):
    del rng  # no dropout anywhere
    grads, metrics = accumulate_gradients(
      loss_fn, state.params, batch, weight_fn, microbatches
    )
    state, grad_norm = advance(state, grads, tx, hyper.learning_rate)
    return state, {**metrics, 'grad_norm': grad_norm}

  return step
