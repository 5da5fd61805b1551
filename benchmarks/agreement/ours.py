"""Our PPO from the folders of `start`, and what is measured on checkpoints."""

import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.agreement import settings as told
from rlhf_jax.evals.policy import evaluate_prompts, make_evaluate
from rlhf_jax.losses.chunked import SplitModel
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.export import save_policy
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.train import ppo, steps
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.types import PPOHyper, Prompts

MEASURE_ROWS = 256


class Start(NamedTuple):
  """The folders of `start`, read.

  Attributes:
    settings: Settings.
    policy, reward: of `load_folder`.
    train_NP, held_out_NP: prompts, int32.
  """

  settings: told.Settings
  policy: Any
  reward: Any
  train_NP: Any
  held_out_NP: Any


class Pieces(NamedTuple):
  """PPO in named pieces, not jitted; see `rlhf_jax.train.ppo`."""

  collect: Any
  reward: Any
  penalise: Any
  estimate: Any
  update: Any
  tx: Any


def load(folder):
  """Start of a folder."""
  prompts = json.loads((folder / 'prompts.json').read_text())
  return Start(
    told.read(folder / 'settings.json'),
    load_folder(folder / 'policy'),
    load_folder(folder / 'reward'),
    np.asarray(prompts['train'], np.int32),
    np.asarray(prompts['held_out'], np.int32),
  )


def hyper_of(settings):
  """PPOHyper of the settings."""
  return PPOHyper(
    policy_learning_rate=settings.learning_rate,
    value_learning_rate=settings.learning_rate,
    kl_coef=settings.kl_coef,
    clip=settings.clip,
    value_clip=settings.value_clip,
    value_coef=settings.value_coef,
    discount=settings.discount,
    gae_lambda=settings.gae_lambda,
  )


def make_pieces(start):
  """The pieces for these models.

  Two things are as the peer has them: the score is read at the last token of
  the reply, to which nothing is appended; and the value has no bias to train.
  """
  settings = start.settings
  policy, scorer = build(start.policy.config), build(start.reward.config)
  policy_fn = SplitModel(policy.hidden_fn, policy.head_fn)
  R = settings.reply_length
  tx = make_optimiser(
    b1=settings.b1, b2=settings.b2, eps=settings.eps, max_grad_norm=0
  )
  generate = make_collect(
    SamplingConfig(R, stop_ids=(), pad_id=0),
    prefill_fn=policy.prefill_fn,
    decode_fn=policy.decode_fn,
  )

  def value_fn(params, tokens_BT, length_B, **read):
    bias = jax.lax.stop_gradient(params['head']['bias'])
    params = params | {'head': params['head'] | {'bias': bias}}
    return scorer.value_fn(params, tokens_BT, length_B, **read)

  return Pieces(
    collect=lambda params, prompts, rng: generate(
      params['policy'], prompts, rng
    ),
    reward=lambda params, tokens_BT, prompt_length_B, length_B: scorer.score_fn(
      params, tokens_BT, length_B
    ),
    penalise=ppo.make_penalise(policy_fn, max_reply=R),
    estimate=ppo.make_estimate(
      lambda params, *rows, **read: value_fn(params['value'], *rows, **read),
      max_reply=R,
    ),
    update=ppo.make_ppo_update(
      ppo.separate(policy_fn, value_fn),
      tx,
      passes=settings.passes,
      minibatch_size=settings.batch,
      max_reply=R,
    ),
    tx=tx,
  )


def make_iteration(pieces):
  """Jitted iteration(state, frozen, prompts, rng, hyper)."""
  return jax.jit(ppo.make_ppo_iteration(*pieces[:5]), donate_argnums=0)


def first_state(start, pieces):
  """The state before the first update: pi_0, and values from the scores."""
  params = {'policy': start.policy.params, 'value': start.reward.params}
  return steps.init_state(jax.tree.map(jnp.copy, params), pieces.tx)


def prompts_of(tokens_NP):
  """Prompts of one length."""
  N, P = tokens_NP.shape
  return Prompts(tokens_NP, np.full(N, P, np.int32), np.arange(N))


def batches(train_NP, batch, seed):
  """Yields batches without end: an epoch in a new order, then the next.

  What is left over at the end of an epoch is dropped, as by the peer.
  """
  rng = np.random.default_rng(seed)
  while True:
    order_N = rng.permutation(len(train_NP))
    for i in range(0, len(order_N) - batch + 1, batch):
      yield prompts_of(train_NP[order_N[i : i + batch]])


def train(start, pieces, iteration, folder, seed):
  """Runs PPO and saves the policy at each checkpoint as folder/ITERATION."""
  settings = start.settings
  state, rng = first_state(start, pieces), jax.random.key(seed)
  frozen = ppo.Frozen(start.policy.params, start.reward.params)
  hyper, source = (
    hyper_of(settings),
    batches(start.train_NP, settings.batch, seed),
  )
  for i in range(1, settings.iterations + 1):
    state, _ = iteration(state, frozen, next(source), rng, hyper)
    if i in settings.checkpoints:
      save_policy(folder / f'{i}', start.policy.config, state.params['policy'])


def make_measure(start, pieces):
  """Builds measure(policy params) -> {'reward', 'kl'}: means over replies.

  `samples` replies to each held-out prompt, drawn with the same numbers for
  every policy; the score of the reward model and the exact per-prefix KL from
  pi_0, in nats per reply, on the same replies.
  """
  settings = start.settings
  model = build(start.policy.config)
  evaluate = jax.jit(
    make_evaluate(
      lambda params, *rest: pieces.collect({'policy': params}, *rest),
      SplitModel(model.hidden_fn, model.head_fn),
      (pieces.reward,),
      max_reply=settings.reply_length,
    )
  )
  prompts = prompts_of(np.tile(start.held_out_NP, (settings.samples, 1)))

  def measure(params):
    out = evaluate_prompts(
      evaluate,
      params,
      start.policy.params,
      (start.reward.params,),
      prompts,
      jax.random.key(1),
      min(MEASURE_ROWS, len(prompts.length_B)),
    )
    return {
      'reward': float(out['score_0'].mean()),
      'kl': float(out['kl'].mean()),
    }

  return measure
