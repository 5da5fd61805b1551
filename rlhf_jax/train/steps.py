"""Training steps of the language model and the preference model."""

import jax.numpy as jnp
import optax

from rlhf_jax.losses.preference import candidates_loss
from rlhf_jax.train.objectives import (
  distil_objective,
  language_objective,
  mixed_gradients,
  preference_objective,
  ranking_objective,
  whole,
)
from rlhf_jax.train.optimiser import apply_updates
from rlhf_jax.types import TrainState


def init_state(params, tx):
  """TrainState at step 0."""
  return TrainState(jnp.int32(0), params, tx.init(params))


def advance(state, grads, tx, learning_rate):
  """One optimiser update: (new state, global gradient norm)."""
  updates, opt_state = tx.update(grads, state.opt_state, state.params)
  params = apply_updates(state.params, updates, learning_rate)
  return TrainState(state.step + 1, params, opt_state), optax.tree.norm(grads)


def make_step(objective, tx, *, combine=None, mixed=None):
  """Builds the step that descends an objective.

  Args:
    objective: Objective of whole parameters.
    tx: optimiser of `make_optimiser`.
    combine: (base, trained) -> params, where the state holds adapters and heads
      alone: the base is an argument of the step then, and no gradient, moment
      or copy of it exists.
    mixed: Objective whose gradient is added, times `hyper.mixed_coef`; batches
      are MixedBatch then, each objective with rows of its own.

  Returns:
    step(state, batch, rng, hyper) -> (state, metrics): those of the objective,
    `loss` and `grad_norm`, and those of the other as mixed_.... With `combine`:
    step(state, base, batch, rng, hyper).
  """

  def adapted(state, base, batch, rng, hyper):
    del rng  # no dropout anywhere
    grads, metrics = mixed_gradients(
      objective,
      mixed,
      state.params,
      batch,
      hyper.mixed_coef,
      base,
      combine or whole,
    )
    state, grad_norm = advance(state, grads, tx, hyper.learning_rate)
    return state, {**metrics, 'grad_norm': grad_norm}

  def step(state, batch, rng, hyper):
    return adapted(state, None, batch, rng, hyper)

  return adapted if combine else step


def make_lm_step(
  logits_fn, tx, *, microbatches=1, packed=False, combine=None, mixed=None
):
  """Language-model training; see `language_objective`, `make_step`."""
  objective = language_objective(
    logits_fn, microbatches=microbatches, packed=packed
  )
  return make_step(objective, tx, combine=combine, mixed=mixed)


def make_distil_step(logits_fn, tx, *, microbatches=1, combine=None):
  """Context distillation; see `distil_objective`, `make_step`."""
  objective = distil_objective(logits_fn, microbatches=microbatches)
  return make_step(objective, tx, combine=combine)


def make_pm_step(
  score_fn, tx, *, microbatches=1, shared=False, combine=None, mixed=None
):
  """Training on comparisons; see `preference_objective`, `make_step`."""
  objective = preference_objective(
    score_fn, microbatches=microbatches, shared=shared
  )
  return make_step(objective, tx, combine=combine, mixed=mixed)


def make_ranking_step(
  candidate_score_fn,
  tx,
  *,
  microbatches=1,
  loss_of=candidates_loss,
  combine=None,
  mixed=None,
):
  """Training on candidates; see `ranking_objective`, `make_step`."""
  objective = ranking_objective(
    candidate_score_fn, microbatches=microbatches, loss_of=loss_of
  )
  return make_step(objective, tx, combine=combine, mixed=mixed)
