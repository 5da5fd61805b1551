"""DPO: a policy from comparisons, without a preference model or any sampling.

logps = make_pair_logps(logits_fn)          once, of pi_0
step = make_direct_step(logits_fn, tx)
"""

import jax.numpy as jnp

from rlhf_jax.losses import language, preference
from rlhf_jax.train.objectives import Objective
from rlhf_jax.train.ppo import make_reply_logps
from rlhf_jax.train.ppo_update import reply_mask
from rlhf_jax.train.steps import make_step
from rlhf_jax.types import Rollout


def make_pair_logps(logits_fn, *, max_reply=None):
  """Builds logps(params, pairs) -> (chosen_B, rejected_B), nats per reply.

    logp[b] = sum_t log pi(token t | tokens < t),   t of the reply, its end too

  Both sides go through the model in one forward pass.

  Args:
    logits_fn: (params, tokens_BT, length_B) -> logits_BTV, or a SplitModel.
    max_reply: as of `ppo.make_penalise`.

  Returns:
    The function, of whatever has the first five columns of a DirectBatch.
  """
  token_logps = make_reply_logps(logits_fn, max_reply=max_reply)

  def logps(params, pairs):
    B = pairs.prompt_length_B.shape[0]
    rows = Rollout(
      jnp.concatenate([pairs.chosen_tokens_BT, pairs.rejected_tokens_BT]),
      jnp.concatenate([pairs.prompt_length_B] * 2),
      jnp.concatenate([pairs.chosen_length_B, pairs.rejected_length_B]),
      ended_B=None,
      logp_BT=None,
    )
    logp_BT = token_logps(params, rows)
    total_B, _ = language.sequence_logps(logp_BT, reply_mask(rows))
    return total_B[:B], total_B[B:]

  return logps


def direct_objective(logits_fn, beta, *, microbatches=1, max_reply=None):
  """Objective of DPO: a mean over the pairs of a DirectBatch.

    L = `preference.direct_loss`

  Args:
    logits_fn: of `make_pair_logps`.
    beta: of `preference.implicit_reward`; a traced scalar.
    microbatches: see `Objective`.
    max_reply: as of `ppo.make_penalise`.

  Returns:
    Objective, with the metrics `accuracy` (of the implicit rewards), `margin`
    (their mean difference) and `score` (their mean), in log-odds.
  """
  logps = make_pair_logps(logits_fn, max_reply=max_reply)

  def loss_fn(params, batch):
    chosen_B, rejected_B = logps(params, batch)
    refs = (batch.ref_chosen_B, batch.ref_rejected_B)
    loss = preference.direct_loss(chosen_B, rejected_B, *refs, beta=beta)
    won_B, lost_B = (
      preference.implicit_reward(logp_B, ref_B, beta)
      for logp_B, ref_B in zip((chosen_B, rejected_B), refs, strict=True)
    )
    metrics = {
      'accuracy': preference.pairwise_accuracy(won_B, lost_B),
      'margin': (won_B - lost_B).mean(),
      'score': (won_B + lost_B).mean() / 2,
    }
    return loss, metrics

  count = lambda part: jnp.float32(part.prompt_length_B.shape[0])
  return Objective(loss_fn, count, microbatches)


def make_direct_step(
  logits_fn, tx, *, microbatches=1, max_reply=None, combine=None
):
  """Builds step(state, batch, rng, DirectHyper) -> (state, metrics).

  Args:
    logits_fn: of `make_pair_logps`.
    tx: optimiser of `make_optimiser`.
    microbatches: see `Objective`.
    max_reply: as of `ppo.make_penalise`.
    combine: of `make_step`: step(state, base, batch, rng, hyper) then.

  Returns:
    The step. A batch is a DirectBatch, whose reference log-probabilities are
    `make_pair_logps` of pi_0.
  """

  def made(hyper):
    objective = direct_objective(
      logits_fn, hyper.beta, microbatches=microbatches, max_reply=max_reply
    )
    return make_step(objective, tx, combine=combine)

  def adapted(state, base, batch, rng, hyper):
    return made(hyper)(state, base, batch, rng, hyper)

  def step(state, batch, rng, hyper):
    return made(hyper)(state, batch, rng, hyper)

  return adapted if combine else step
