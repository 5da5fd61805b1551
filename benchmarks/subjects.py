"""What is timed: our steps, on random tokens of a shape.

Every function is (state, *args) -> (state, anything) and pure; the state may be
donated. The same subjects run alone and against the peers.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.common import config_of
from benchmarks.shapes import SHAPES
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.models.build import build
from rlhf_jax.models.cost import forward_flops
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.rollout.repeat import repeat_prompts
from rlhf_jax.rollout.scoring import make_pm_reward
from rlhf_jax.train import ppo, steps
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.pieces import make_pieces
from rlhf_jax.types import PairBatch, PMHyper, PPOHyper, Prompts, SplitModel

END_OF_CONTEXT, EOS = 3, 2  # any two ids: all lengths are forced
REPLIES = 2  # to a prompt, without a critic


class Subject(NamedTuple):
  """One function to time, with its first state and its other arguments.

  Attributes:
    function: (state, *args) -> (state, out).
    state: first state.
    args: the rest.
    rows: position of the argument whose arrays have one row a pair or prompt
      (the state is 0).
    shared: positions of the arguments (the state is 0) that all members of a
      sweep have in common.
    samples: pairs, or prompts answered, a call.
    tokens: tokens read (or, when decoding, written) a call.
    flops: useful FLOPs of the matrix products of a call, attention included;
      of the last layer and the head only the columns that are read count.
    parts: microbatches in which a step goes through its rows.
    products_tokens: rows of the weight products as the function runs them, on
      all devices together.
    logits: whether it computes next-token logits.
  """

  function: Any
  state: Any
  args: tuple
  rows: int
  shared: tuple[int, ...]
  samples: int
  tokens: int
  flops: float
  parts: int
  products_tokens: int
  logits: bool


def _tokens(rng, rows, length, shape):
  return jax.random.randint(rng, (rows, length), 4, shape.vocab_size)


def _decode_flops(shape):
  """One reply: the prompt read once, then each token attends to all slots."""
  config = config_of(shape)
  P, R, T = shape.prompt_length, shape.reply_length, shape.length
  heads = config.n_heads * config.head_size
  one = forward_flops(config, 1) + 4 * (T - 1) * heads * config.n_layers
  return forward_flops(config, P, read=1) + R * one


def pm_step(shape, seed=0, shared=True):
  """A preference-model step on `batch` pairs of T tokens a side.

  Both sides begin with the prompt of P tokens, which is read once if `shared`.
  """
  rng = jax.random.key(seed)
  config = config_of(shape)
  model, tx = build(config), make_optimiser()
  params = {**model.init(rng), 'head': model.init_head(rng)}
  B, T = shape.batch, shape.length
  parts = 2 * B // shape.microbatch_rows or 1
  step = steps.make_pm_step(
    model.pair_score_fn if shared else model.score_fn,
    tx,
    microbatches=parts,
    shared=shared,
  )
  tokens = _tokens(rng, 2 * B, T, shape)
  prompt_BT = jnp.arange(T) < shape.prompt_length
  length_B = jnp.full(B, T, jnp.int32)
  rejected_BT = jnp.where(prompt_BT, tokens[:B], tokens[B:])
  batch = PairBatch(tokens[:B], length_B, rejected_BT, length_B)
  columns = 2 * T  # of a pair
  flops = 2 * forward_flops(config, T, logits=False, read=1)
  if shared:
    batch = share_prefix(batch)
    columns = batch.tokens_BT.shape[1]
    flops = forward_flops(config, columns, logits=False, read=2)
  return Subject(
    function=step,
    state=steps.init_state(params, tx),
    args=(batch, rng, PMHyper(1e-4)),
    rows=1,
    shared=(),
    samples=B,
    tokens=2 * B * T,
    flops=3 * B * flops,
    parts=parts,
    products_tokens=B // parts * columns,
    logits=False,
  )


def _sampling(shape):
  """Temperature 1; no stop token, so lengths are forced."""
  return SamplingConfig(shape.reply_length, stop_ids=(), pad_id=0)


def _collect(shape, model):
  return make_collect(
    _sampling(shape), prefill_fn=model.prefill_fn, decode_fn=model.decode_fn
  )


def _prompts(shape, rng):
  B, P = shape.batch, shape.prompt_length
  tokens_BP = _tokens(rng, B, P, shape)
  return Prompts(tokens_BP, jnp.full(B, P, jnp.int32), jnp.arange(B))


def decode(shape, seed=0):
  """Replies of R tokens to `batch` prompts; the state counts the calls."""
  rng = jax.random.key(seed)
  model = build(config_of(shape))
  collect = _collect(shape, model)

  def function(calls, params, prompts, rng):
    rollout = collect(params, prompts, jax.random.fold_in(rng, calls))
    return calls + 1, rollout

  B, R = shape.batch, shape.reply_length
  return Subject(
    function=function,
    state=jnp.int32(0),
    args=(model.init(rng), _prompts(shape, rng), rng),
    rows=2,
    shared=(),
    samples=B,
    tokens=B * R,
    flops=B * _decode_flops(shape),
    parts=1,
    products_tokens=B,
    logits=True,
  )


def ppo_iteration(shape, seed=0):
  """A whole PPO iteration: four models, passes and minibatches of the shape."""
  return _iteration(shape, seed, critic=True)


def rloo_iteration(shape, seed=0):
  """Without a critic: three models, two replies to each of half the prompts."""
  return _iteration(shape, seed, critic=False)


def _iteration(shape, seed, critic):
  rng = jax.random.key(seed)
  config = config_of(shape)
  model, tx = build(config), make_optimiser()
  B, T = shape.batch, shape.length
  minibatch = B // shape.minibatches
  parts = minibatch // shape.microbatch_rows or 1
  scorer = build(_pm_config(shape))
  pieces = make_pieces(
    generate=_collect(shape, model),
    policy=SplitModel(model.hidden_fn, model.head_fn, None),
    value_fn=model.value_fn if critic else None,
    group=None if critic else REPLIES,
    reward=make_pm_reward(
      scorer.score_fn, end_of_context_id=END_OF_CONTEXT, eos_id=EOS
    ),
    tx=tx,
    sampling=_sampling(shape),
    passes=shape.passes,
    minibatch_size=minibatch,
    microbatches=parts,
    scoring_parts=parts * shape.minibatches,
    rescore=config.matmul != 'float32',
  )
  policy, pm = model.init(rng), scorer.init(jax.random.fold_in(rng, 1))
  pm['head'] = scorer.init_head(rng)
  params, prompts = {'policy': policy}, _prompts(shape, rng)
  if critic:
    params['value'] = {**policy, 'head': model.init_head(rng, 'zero')}
  else:
    some = jax.tree.map(lambda x: x[: B // REPLIES], prompts)
    prompts = repeat_prompts(some, REPLIES)
  return Subject(
    function=ppo.make_ppo_iteration(*pieces),
    state=steps.init_state(params, tx),
    args=(ppo.Frozen(policy, pm), prompts, rng, PPOHyper(1e-5, 1e-5)),
    rows=2,
    shared=(1,),
    samples=B,
    tokens=B * T,
    flops=B * _iteration_flops(shape, critic),
    parts=parts,
    products_tokens=minibatch // parts * T,
    logits=True,
  )


def _pm_config(shape):
  """TransformerConfig of the preference model of a shape."""
  return config_of(SHAPES[shape.pm] if shape.pm else shape)


def _iteration_flops(shape, critic):
  """A reply sampled and scored; pi_0 and values forward; then the updates."""
  config = config_of(shape)
  T, R = shape.length, shape.reply_length
  score = forward_flops(_pm_config(shape), T + 1, logits=False, read=1)
  each = forward_flops(config, T, read=R)
  if critic:
    each += forward_flops(config, T, logits=False, read=R)
  return _decode_flops(shape) + score + (1 + 3 * shape.passes) * each
