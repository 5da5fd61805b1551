"""Steps whose state holds adapters and heads alone, over a frozen base.

The base is an argument of the step, after the state: no gradient, moment or
copy of it exists, and in PPO the same arrays are pi_0. How a base and what is
trained become parameters, `combine(base, trained) -> params`, is handed in.
"""

from rlhf_jax.types import SplitModel


def bind(function, combine, base):
  """A model function of what is trained, from one of whole parameters.

  Args:
    function: (params, ...) -> anything, or a SplitModel.
    combine: (base, trained) -> params.
    base: frozen parameters.

  Returns:
    (trained, ...) -> function(combine(base, trained), ...).
  """
  if isinstance(function, SplitModel):
    return function._replace(
      hidden_fn=bind(function.hidden_fn, combine, base),
      head_fn=bind(function.head_fn, combine, base),
    )
  return lambda trained, *args, **options: function(
    combine(base, trained), *args, **options
  )


def make_adapted_step(make, function, combine, tx, **options):
  """A step over a frozen base, from the maker of the plain step.

  Args:
    make: `make_pm_step` or `make_lm_step`.
    function: what `make` takes: a score_fn, a logits_fn, a SplitModel.
    combine: (base, trained) -> params.
    tx: optimiser of `make_optimiser`.
    **options: of `make`.

  Returns:
    step(state, base, batch, rng, hyper) -> (state, metrics); state.params is
    what is trained.
  """

  def step(state, base, batch, rng, hyper):
    return make(bind(function, combine, base), tx, **options)(
      state, batch, rng, hyper
    )

  return step
