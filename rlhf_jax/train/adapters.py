"""Steps whose state holds adapters and heads alone, over a frozen base.

The base is an argument of the step, after the state: no gradient, moment or
copy of it exists, and in PPO the same arrays are pi_0. How a base and what is
trained become parameters, `combine(base, trained) -> params`, is handed in.
"""

from rlhf_jax.losses import chunked
from rlhf_jax.train import ppo


def bind(function, combine, base):
  """A model function of what is trained, from one of whole parameters.

  Args:
    function: (params, ...) -> anything, or a SplitModel.
    combine: (base, trained) -> params.
    base: frozen parameters.

  Returns:
    (trained, ...) -> function(combine(base, trained), ...).
  """
  if isinstance(function, chunked.SplitModel):
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


def make_adapted_pieces(
  base,
  *,
  generate,
  policy,
  value_fn,
  attach,
  merge,
  tx,
  passes,
  minibatch_size,
  microbatches=1,
  scoring_parts=1,
  temperature=1.0,
  max_reply=None,
):
  """(collect, penalise, estimate, update) of networks over one frozen base.

  Policy, value network and pi_0 share it: pi_0 is the base itself, the others
  are params {'policy': trained, 'value': trained}. `penalise` wants the base
  for its ref_params. For a reward in plain Python, `ppo.make_learn` takes the
  last three.

  Args:
    base: frozen parameters.
    generate: of `make_collect`.
    policy: logits_fn or SplitModel.
    value_fn: (params, tokens_BT, length_B) -> raw value_BT.
    attach: combine(base, trained) of whatever has gradients.
    merge: combine(base, trained) of sampling: once an iteration, so that a
      token costs what it costs the base.
    tx: optimiser of `make_optimiser`.
    passes: of `make_ppo_update`.
    minibatch_size: of `make_ppo_update`.
    microbatches: of `make_ppo_update`.
    scoring_parts: microbatches of `make_penalise` and `make_estimate`.
    temperature: the sampler's.
    max_reply: as in `make_penalise`.
  """
  value = bind(value_fn, attach, base)
  sample = bind(generate, merge, base)
  return (
    lambda params, *args: sample(params['policy'], *args),
    ppo.make_penalise(
      policy,
      temperature=temperature,
      microbatches=scoring_parts,
      max_reply=max_reply,
    ),
    ppo.make_estimate(
      lambda params, *rows, **read: value(params['value'], *rows, **read),
      microbatches=scoring_parts,
      max_reply=max_reply,
    ),
    ppo.make_ppo_update(
      ppo.separate(bind(policy, attach, base), value),
      tx,
      passes=passes,
      minibatch_size=minibatch_size,
      microbatches=microbatches,
      temperature=temperature,
      max_reply=max_reply,
    ),
  )


def make_adapted_ppo_iteration(reward, **options):
  """One whole PPO iteration over a frozen base.

  Args:
    reward: (reward_params, tokens_BT, prompt_length_B, length_B) -> reward_B.
      A preference model over the same base may have (base, trained) for its
      parameters: a program does not copy an array that it is given twice.
    **options: of `make_adapted_pieces`, without its base.

  Returns:
    iteration(state, frozen, prompts, rng, hyper) -> (state, metrics), as of
    `make_ppo_iteration`; `frozen.ref` is the base.
  """

  def iteration(state, frozen, prompts, rng, hyper):
    collect, *rest = make_adapted_pieces(frozen.ref, **options)
    run = ppo.make_ppo_iteration(collect, reward, *rest)
    return run(state, frozen, prompts, rng, hyper)

  return iteration
