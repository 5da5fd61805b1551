"""Steps, samplers and initial states compiled for a mesh.

A step knows nothing of devices; these functions say where its arguments and
results live, and the compiler adds the communication. They work alike in one
process and in several.
"""

import functools

import jax

from rlhf_jax.train.sharding import (
  RULES,
  batch_sharding,
  replicated,
  shardings_of,
)


def init_sharded(init, mesh, *args, rules=RULES):
  """`init(*args)`, made in pieces: no device ever holds the whole tree.

  Args:
    init: pure function that makes a tree, for example
      `lambda rng: init_state(model.init(rng), tx)`.
    mesh: of `make_mesh`.
    *args: arguments of `init`, equal in every process.
    rules: of `shardings_of`.
  """
  shardings = shardings_of(jax.eval_shape(init, *args), mesh, rules)
  return jax.jit(init, out_shardings=shardings)(*args)


def on_mesh(function, mesh):
  """`function`, traced with the mesh in use: models cut their activations."""

  @functools.wraps(function)
  def traced(*args):
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
      return function(*args)

  return traced


def jit_sharded(step, mesh, state, *frozen, rules=RULES):
  """Jits step(state, *frozen, batch, rng, hyper) -> (state, metrics).

  The state is donated and comes back where it was; batches are cut by rows,
  random key, hyper-parameters and metrics are on every device.

  Args:
    step: of `make_lm_step`, `make_pm_step`, `make_ppo_iteration` (one frozen
      tree), or a step with an average.
    mesh: of `make_mesh`.
    state: arrays or shapes of the state.
    *frozen: arrays or shapes of what stands between state and batch.
    rules: of `shardings_of`.
  """
  everywhere = replicated(mesh)
  state, *frozen = (shardings_of(x, mesh, rules) for x in (state, *frozen))
  return jax.jit(
    on_mesh(step, mesh),
    in_shardings=(
      state,
      *frozen,
      batch_sharding(mesh),
      everywhere,
      everywhere,
    ),
    out_shardings=(state, everywhere),
    donate_argnums=0,
  )


def jit_rows(function, mesh, params, rules=RULES):
  """Jits function(params, rows) -> rows, both cut as a batch is.

  Args:
    function: of `pair_score_fn`'s kind: of a row at a time.
    mesh: of `make_mesh`; data x fsdp has to divide the rows.
    params: arrays or shapes of the parameters.
    rules: of `shardings_of`.
  """
  rows = batch_sharding(mesh)
  return jax.jit(
    on_mesh(function, mesh),
    in_shardings=(shardings_of(params, mesh, rules), rows),
    out_shardings=rows,
  )


def jit_collect(collect, mesh, params, rules=RULES):
  """Jits collect(params, prompts, rng) -> Rollout, rows cut as the prompts.

  Args:
    collect: of `make_collect`.
    mesh: of `make_mesh`.
    params: arrays or shapes of the parameters.
    rules: of `shardings_of`.
  """
  rows = batch_sharding(mesh)
  return jax.jit(
    on_mesh(collect, mesh),
    in_shardings=(shardings_of(params, mesh, rules), rows, replicated(mesh)),
    out_shardings=rows,
  )
