"""Our PPO from the folders of `start`, and what is measured on checkpoints."""

import json
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.agreement import settings as told
from rlhf_jax.evals.policy import evaluate_prompts, make_policy_evaluation
from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.export import save_policy
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.train import ppo, steps
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.pieces import make_pieces
from rlhf_jax.types import PPOHyper, Prompts, SplitModel

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


def sampling_of(settings):
  """Replies of one length: nothing stops them."""
  return SamplingConfig(settings.reply_length, stop_ids=(), pad_id=0)


def optimiser_of(settings):
  """Adam as the peer has it, its gradient not clipped."""
  return make_optimiser(
    b1=settings.b1, b2=settings.b2, eps=settings.eps, max_grad_norm=0
  )


def pieces_of(start):
  """Pieces for these models.

  Two things are as the peer has them: the score is read at the last token of
  the reply, to which nothing is appended; and the value has no bias to train.
  """
  settings = start.settings
  policy, scorer = build(start.policy.config), build(start.reward.config)
  sampling = sampling_of(settings)

  def value_fn(params, tokens_BT, length_B, **read):
    bias = jax.lax.stop_gradient(params['head']['bias'])
    params = params | {'head': params['head'] | {'bias': bias}}
    return scorer.value_fn(params, tokens_BT, length_B, **read)

  def reward(params, tokens_BT, prompt_length_B, length_B):
    del prompt_length_B  # the score is of the whole dialogue
    return scorer.score_fn(params, tokens_BT, length_B)

  return make_pieces(
    generate=make_collect(
      sampling, prefill_fn=policy.prefill_fn, decode_fn=policy.decode_fn
    ),
    policy=SplitModel(policy.hidden_fn, policy.head_fn),
    value_fn=value_fn,
    reward=reward,
    tx=optimiser_of(settings),
    sampling=sampling,
    passes=settings.passes,
    minibatch_size=settings.batch,
  )


def make_iteration(pieces):
  """Jitted iteration(state, frozen, prompts, rng, hyper)."""
  return jax.jit(ppo.make_ppo_iteration(*pieces), donate_argnums=0)


def first_state(start):
  """The state before the first update: pi_0, and values from the scores."""
  params = {'policy': start.policy.params, 'value': start.reward.params}
  return steps.init_state(
    jax.tree.map(jnp.copy, params), optimiser_of(start.settings)
  )


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


def train(start, iteration, folder, seed):
  """Runs PPO and saves the policy at each checkpoint as folder/ITERATION."""
  settings = start.settings
  state, rng = first_state(start), jax.random.key(seed)
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
    make_policy_evaluation(
      lambda params, *rest: pieces.collect({'policy': params}, *rest),
      SplitModel(model.hidden_fn, model.head_fn),
      (pieces.score,),
      sampling_of(settings),
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
