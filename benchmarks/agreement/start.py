"""What both sides start from: pi_0, a reward model and prompts, as folders.

Texts are walks of a random Markov chain over the vocabulary. pi_0 has learnt
the chain for some hundred steps, so that it has a shape to lose. Every token
has a worth, drawn once; the reward model has learnt from pairs of replies
whose worth differs, so that its score rises with a policy that likes the
better tokens, and does so at a rate that differs from token to token.
"""

import json

import jax
import numpy as np

from benchmarks.agreement import settings as told
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.models.pretrained.export import save_policy, save_preference_model
from rlhf_jax.train import steps
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.types import LMBatch, LMHyper, PairBatch, PMHyper

ROWS, RATE = 64, 2e-3  # of both trainings
SHARPNESS = 2.0  # std of the logits of the chain
WORTH = 0.5  # std of the worth of a token, log-odds
FIRST = 2  # id of the first token that is neither the pad nor the end


class World:
  """The chain and the worth of tokens, by one seed."""

  def __init__(self, settings, seed=0):
    self.settings, self.rng = settings, np.random.default_rng(seed)
    V = settings.vocab_size
    odds_VV = np.exp(SHARPNESS * self.rng.standard_normal((V, V)))
    self.cdf_VV = np.cumsum(odds_VV / odds_VV.sum(1, keepdims=True), 1)
    self.worth_V = WORTH * self.rng.standard_normal(V)

  def walks(self, rows, length, begin_B=None):
    """[rows, length] tokens; after `begin_B`, or from anywhere."""
    V = self.settings.vocab_size
    token_B = self.rng.integers(V, size=rows) if begin_B is None else begin_B
    walk = []
    for _ in range(length):
      uniform_B1 = self.rng.random((rows, 1))
      token_B = (self.cdf_VV[token_B] < uniform_B1).sum(1).clip(max=V - 1)
      walk.append(token_B)
    return np.stack(walk, 1).astype(np.int32)

  def text_batch(self):
    """LMBatch of whole walks."""
    T = self.settings.prompt_length + self.settings.reply_length
    length_B = np.full(ROWS, T, np.int32)
    return LMBatch(self.walks(ROWS, T), length_B, np.zeros(ROWS, np.int32))

  def pair_batch(self):
    """PairBatch: two replies to a prompt, half of each pair at random.

    P(first is chosen) = sigmoid(worth of the first - worth of the second)
    """
    P, R = self.settings.prompt_length, self.settings.reply_length
    prompt_BP = self.walks(ROWS, P)
    noise_BR = self.rng.integers(self.settings.vocab_size, size=(ROWS, R))
    replies = [self.walks(ROWS, R, prompt_BP[:, -1]) for _ in range(2)]
    replies[1][::2] = noise_BR[::2]
    worth_B2 = np.stack([self.worth_V[x].sum(1) for x in replies], 1)
    chance_B = 1 / (1 + np.exp(worth_B2[:, 1] - worth_B2[:, 0]))
    first_B1 = (self.rng.random(ROWS) < chance_B)[:, None]
    texts = [
      np.concatenate([prompt_BP, x], 1).astype(np.int32) for x in replies
    ]
    length_B = np.full(ROWS, P + R, np.int32)
    chosen = np.where(first_B1, *texts)
    return PairBatch(
      chosen, length_B, np.where(first_B1, *texts[::-1]), length_B
    )


def config_of(settings):
  """TransformerConfig of a Llama, which is exported as it is."""
  return TransformerConfig(
    vocab_size=settings.vocab_size,
    n_layers=settings.n_layers,
    d_model=settings.d_model,
    n_heads=settings.n_heads,
    d_mlp=settings.d_mlp,
    activation='swiglu',
    max_length=settings.prompt_length + settings.reply_length,
    embed_scale=1.0,
  )


def _train(step, params, tx, batches, hyper):
  """(params, metrics of the last tenth of the steps)."""
  state, rng, seen = steps.init_state(params, tx), jax.random.key(0), []
  step = jax.jit(step, donate_argnums=0)
  for batch in batches:
    state, metrics = step(state, batch, rng, hyper)
    seen.append(metrics)
  tail = jax.device_get(seen[-max(1, len(seen) // 10) :])
  return state.params, {
    k: float(np.mean([m[k] for m in tail])) for k in tail[0]
  }


def make(folder, settings, seed=0):
  """Writes policy/, reward/, prompts.json and settings.json into `folder`.

  Returns:
    {'nats_per_token': of pi_0, 'pm_accuracy': of the reward model}.
  """
  folder.mkdir(parents=True, exist_ok=True)
  world, config = World(settings, seed), config_of(settings)
  model, tx, rng = build(config), make_optimiser(), jax.random.key(seed)
  policy, lm = _train(
    steps.make_lm_step(model.logits_fn, tx),
    jax.jit(model.init)(rng),
    tx,
    (world.text_batch() for _ in range(settings.lm_steps)),
    LMHyper(RATE),
  )
  head = model.init_head(jax.random.fold_in(rng, 1))
  reward, pm = _train(
    steps.make_pm_step(model.score_fn, tx),
    jax.tree.map(np.copy, policy) | {'head': head},
    tx,
    (world.pair_batch() for _ in range(settings.pm_steps)),
    PMHyper(RATE),
  )
  # A score has no bias in a folder; rounding may have moved it.
  reward['head'] |= {'bias': np.float32(0)}
  save_policy(folder / 'policy', config, policy)
  save_preference_model(folder / 'reward', config, reward)
  told.write(folder / 'settings.json', settings)
  P = settings.prompt_length
  prompts = {
    'train': world.walks(settings.train_prompts, P).tolist(),
    'held_out': world.walks(settings.held_out, P).tolist(),
  }
  (folder / 'prompts.json').write_text(json.dumps(prompts))
  return {'nats_per_token': lm['loss'], 'pm_accuracy': pm['accuracy']}


def asked_of(settings, losses, rows, seed=1):
  """What RLOO and DPO are asked: prompts, the worth of tokens, and pairs.

  Args:
    settings: of the models.
    losses: a NamedTuple, what the trainers are told.
    rows: prompts, and pairs.
    seed: of all of them.

  Returns:
    {'settings', 'worth', 'prompts', 'pairs'}, fit for JSON.
  """
  rng, V = np.random.default_rng(seed), settings.vocab_size
  draw = lambda rows, length: rng.integers(FIRST, V, (rows, length)).tolist()
  lengths = lambda: rng.integers(1, settings.reply_length, rows)
  ragged = lambda: [draw(1, n)[0] for n in lengths()]
  return {
    'settings': losses._asdict(),
    'worth': rng.normal(size=V).tolist(),
    'prompts': draw(rows, settings.prompt_length),
    'pairs': {
      'prompt': draw(rows, settings.prompt_length),
      'chosen': ragged(),
      'rejected': ragged(),
    },
  }
