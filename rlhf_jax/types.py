"""Containers that cross rooms, the model protocol, and the shape letters.

B batch, T tokens, S cache slots, P prompt tokens, R reply tokens, V vocabulary,
D width, H heads, K head size, L layers, C candidates of one prompt, N anything
counted in an analysis. Scalars and pytrees carry no suffix.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Array = jax.Array
Params = Any


class SplitModel(NamedTuple):
  """A language model in two halves: logits = head_fn(params, hidden).

  It may stand wherever a maker takes a `logits_fn`.

  Attributes:
    hidden_fn: (params, tokens_BT, length_B) -> hidden_BTD; with read_BS, the
      columns that are wanted, hidden_BSD. Where a maker takes a function of
      logits and values: -> (hidden_BTD, value_BT).
    head_fn: (params, hidden of [..., D]) -> logits of [..., V].
    chunk: positions whose logits are held at once; None: all of them.
  """

  hidden_fn: Callable
  head_fn: Callable
  chunk: int | None = None


class TrainState(NamedTuple):
  """State that a step function reads and returns.

  Attributes:
    step: [] int32, optimiser updates done so far; randomness is
      `fold_in(rng, step)`, so no key needs to be saved.
    params: pytree of float32 arrays.
    opt_state: the optimiser's own pytree.
  """

  step: Array
  params: Params
  opt_state: Any


class LMBatch(NamedTuple):
  """Right-padded sequences for next-token training.

  Attributes:
    tokens_BT: int32.
    length_B: int32, real tokens of each row.
    loss_start_B: int32, first token whose loss counts (0: all of them).
  """

  tokens_BT: Array
  length_B: Array
  loss_start_B: Array


class DistilBatch(NamedTuple):
  """Right-padded sequences with what a teacher thinks of each token.

  Attributes:
    tokens_BT: int32.
    length_B: int32, real tokens of each row.
    target_logp_BTC: float32, of `losses.distillation.top_buckets`; column t is
      of token t.
    target_id_BTK: int, likewise.
  """

  tokens_BT: Array
  length_B: Array
  target_logp_BTC: Array
  target_id_BTK: Array


class PairBatch(NamedTuple):
  """Comparisons, both sides ending in the end-of-context token."""

  chosen_tokens_BT: Array
  chosen_length_B: Array
  rejected_tokens_BT: Array
  rejected_length_B: Array


class DirectBatch(NamedTuple):
  """Comparisons as replies of a policy, and what the reference thinks of them.

  Rows are those of a policy: prompt, reply, pads, without end-of-context.

  Attributes:
    chosen_tokens_BT: int32.
    chosen_length_B: int32, prompt and reply, its end token included.
    rejected_tokens_BT: as chosen_tokens_BT.
    rejected_length_B: as chosen_length_B.
    prompt_length_B: int32, of both.
    ref_chosen_B: float32, log-probability of the reply under pi_0, nats.
    ref_rejected_B: likewise.
  """

  chosen_tokens_BT: Array
  chosen_length_B: Array
  rejected_tokens_BT: Array
  rejected_length_B: Array
  prompt_length_B: Array
  ref_chosen_B: Array
  ref_rejected_B: Array


class SharedPairs(NamedTuple):
  """Comparisons whose two sides begin alike, what they share read once.

  A row is: prefix, the rest of the chosen side, the rest of the rejected side,
  pads. Both sides end in the end-of-context token.

  Attributes:
    tokens_BT: int32.
    segment_BT: int32, 1 prefix, 2 chosen, 3 rejected, 0 pads.
    prefix_B: int32, tokens that the sides share.
    last_B2: int32, the columns of the last chosen and the last rejected token.
  """

  tokens_BT: Array
  segment_BT: Array
  prefix_B: Array
  last_B2: Array


class WeightedPairs(NamedTuple):
  """SharedPairs of which some count more than others in the loss.

  Attributes:
    tokens_BT: as of SharedPairs, and so are the next three.
    segment_BT: as of SharedPairs.
    prefix_B: as of SharedPairs.
    last_B2: as of SharedPairs.
    weight_B: float32, above 0.
  """

  tokens_BT: Array
  segment_BT: Array
  prefix_B: Array
  last_B2: Array
  weight_B: Array


class CandidateBatch(NamedTuple):
  """C replies to each prompt, whole dialogues in an order of preference.

  All end in the end-of-context token.

  Attributes:
    tokens_BCT: int32.
    length_BC: int32, real tokens; of a missing candidate 0.
    rank_BC: int32, 0 the best; equal ranks are ties, and a negative one is no
      candidate: prompts may have fewer than C.
  """

  tokens_BCT: Array
  length_BC: Array
  rank_BC: Array


class SharedCandidates(NamedTuple):
  """CandidateBatch whose sides begin alike, what they share read once.

  A row is: prefix, the rest of each candidate in turn, pads. Two candidates are
  the `SharedPairs` of these.

  Attributes:
    tokens_BT: int32.
    segment_BT: int32, 1 prefix, 2 + c candidate c, 0 pads.
    prefix_B: int32, tokens that all candidates share.
    last_BC: int32, the column of each candidate's last token; 0 without one.
    rank_BC: as of `CandidateBatch`.
  """

  tokens_BT: Array
  segment_BT: Array
  prefix_B: Array
  last_BC: Array
  rank_BC: Array


class FeaturePairs(NamedTuple):
  """SharedPairs that a model's lower layers have read: `features_BTD`."""

  features_BTD: Array
  segment_BT: Array
  prefix_B: Array
  last_B2: Array


class Prompts(NamedTuple):
  """Prompts to answer; `row_B` names each row for its sampling key.

  Rows of one batch with one name are told apart by their order.
  """

  tokens_BP: Array
  length_B: Array
  row_B: Array


class Rollout(NamedTuple):
  """Sampled replies in the compact layout (prompt, reply, pads).

  Attributes:
    tokens_BT: int32, T = P + R.
    prompt_length_B: int32.
    length_B: int32, prompt and reply, the reply's end token included.
    ended_B: bool, False where the reply was cut at the cap.
    logp_BT: float32, log-probability of each reply token under the distribution
      that it was sampled from; 0 elsewhere.
  """

  tokens_BT: Array
  prompt_length_B: Array
  length_B: Array
  ended_B: Array
  logp_BT: Array


class Experience(NamedTuple):
  """One iteration's rollouts with everything that PPO needs, frozen.

  `ref_logp_BT`, of pi_0, is for a loss with a penalty of its own (GRPO).
  """

  tokens_BT: Array
  prompt_length_B: Array
  length_B: Array
  old_logp_BT: Array
  old_value_BT: Array
  advantage_BT: Array
  return_BT: Array
  ref_logp_BT: Array | None = None


class MixedBatch(NamedTuple):
  """Rows for a step, and rows of another kind whose loss is added to its own.

  Attributes:
    batch: what the step takes without the others; of PPO, Prompts.
    mixed: the others, such as an LMBatch of pretraining text.
  """

  batch: Any
  mixed: Any


class KVCache(NamedTuple):
  """Keys and values of one batch, one heads-major pair a layer.

  Attributes:
    layers: tuple over layers of (k_BHSK, v_BHSK).
    valid_BS: bool, slots that hold a real token.
    slot: [] int32, the next slot to write, the same for all rows.
  """

  layers: tuple[tuple[Array, Array], ...]
  valid_BS: Array
  slot: Array


class LMHyper(NamedTuple):
  """Traced scalars of a language-model step; `mixed_coef` as of PPOHyper."""

  learning_rate: Array | float
  mixed_coef: Array | float = 0.0


class PMHyper(NamedTuple):
  """Traced scalars of a preference-model step; `mixed_coef` as of PPOHyper."""

  learning_rate: Array | float
  mixed_coef: Array | float = 0.0


class DirectHyper(NamedTuple):
  """Traced scalars of a step of DPO; `mixed_coef` as of PPOHyper.

  Attributes:
    learning_rate: step size.
    beta: of `losses.preference.implicit_reward`, log-odds per nat.
  """

  learning_rate: Array | float
  beta: Array | float = 0.1
  mixed_coef: Array | float = 0.0


class PPOHyper(NamedTuple):
  """Traced scalars of a PPO iteration (Bai et al. 2022, section 4.1, B.1).

  Attributes:
    policy_learning_rate: step size of the policy.
    value_learning_rate: step size of the value function.
    kl_coef: lambda_KL, reward units per nat.
    clip: PPO's epsilon.
    value_clip: half-width of the value clip, in reward units; inf for none.
    value_coef: weight of the value loss (a shared trunk needs it).
    discount: gamma.
    gae_lambda: lambda of generalised advantage estimation.
    truncation_penalty: subtracted from the score of a reply without an end.
    mixed_coef: weight of the loss of a second batch, where there is one; the
      pretraining gradient of Ouyang et al. 2022, equation 2.
    reward_gain: multiplies the PM score, before everything else.
    reward_bias: added to that product.
  """

  policy_learning_rate: Array | float
  value_learning_rate: Array | float
  kl_coef: Array | float = 0.001
  clip: Array | float = 0.2
  value_clip: Array | float = 0.2
  value_coef: Array | float = 1.0
  discount: Array | float = 1.0
  gae_lambda: Array | float = 0.95
  truncation_penalty: Array | float = 0.0
  mixed_coef: Array | float = 0.0
  reward_gain: Array | float = 1.0
  reward_bias: Array | float = 0.0
