"""Models of a few lines, and what the tests of several files share."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.losses.language import token_logps
from rlhf_jax.losses.masked import reply_mask
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.train import ppo, ppo_update
from rlhf_jax.types import PPOHyper, Prompts

V = 6
SAMPLING = SamplingConfig(max_reply=3, stop_ids=(0,), pad_id=0)
PROMPTS = Prompts(
  np.int32([[1, 0, 0], [2, 3, 0], [4, 5, 1], [5, 0, 0]] * 2),
  np.int32([1, 2, 3, 1] * 2),
  np.arange(8, dtype=np.int32),
)


def bigram_logits(params, tokens_BT, length_B):
  """The next token depends on this one alone: a row of a table."""
  del length_B
  return params['table_VV'][tokens_BT]


def bigram_value(params, tokens_BT, length_B):
  del length_B
  return params['value_V'][tokens_BT]


def bigram_params(seed, size=V, scale=0.7):
  """{'policy', 'value'} of a bigram policy and a table of values."""
  rng = np.random.default_rng(seed)
  return {
    'policy': {'table_VV': jnp.float32(rng.normal(0, scale, (size, size)))},
    'value': {'value_V': jnp.zeros(size)},
  }


def count_score(params, tokens_BT, length_B):
  """A reward model that adds up the worth of the tokens."""
  T = tokens_BT.shape[1]
  real_BT = jnp.arange(T)[None] < length_B[:, None]
  return (params['worth_V'][tokens_BT] * real_BT).sum(1)


def bigram_pieces(
  tx, *, sampling=SAMPLING, passes=2, minibatch_size=4, parts=1
):
  """(collect, penalise, estimate, update) of the bigram policy."""
  temperature = sampling.temperature
  joint = ppo_update.separate(bigram_logits, bigram_value)
  collect = make_collect(sampling, logits_fn=bigram_logits)
  return (
    lambda params, *args: collect(params['policy'], *args),
    ppo.make_penalise(bigram_logits, temperature=temperature),
    ppo.make_estimate(lambda params, *args: joint(params, *args)[1]),
    ppo_update.make_ppo_update(
      joint,
      tx,
      passes=passes,
      minibatch_size=minibatch_size,
      microbatches=parts,
      temperature=temperature,
    ),
  )


def bigram_iteration(tx, **options):
  """The whole iteration of the bigram policy, with `count_score`."""
  collect, *rest = bigram_pieces(tx, **options)
  reward = lambda params, tokens_BT, _, length_B: count_score(
    params, tokens_BT, length_B
  )
  return ppo.make_ppo_iteration(collect, reward, *rest)


def hyper(rate=0.1, **values):
  """PPOHyper with one learning rate for both networks."""
  return PPOHyper(rate, rate, **values)


def scored(logits_fn, params, rollout, temperature):
  """The rollout with the scorer's log-probabilities for the sampler's."""
  logits_BTV = logits_fn(params, rollout.tokens_BT, rollout.length_B)
  logp_BT = token_logps(logits_BTV, rollout.tokens_BT, temperature)
  return rollout._replace(logp_BT=logp_BT * mask_of(rollout))


def mask_of(rollout):
  T = rollout.tokens_BT.shape[1]
  return reply_mask(rollout.prompt_length_B, rollout.length_B, T)


def digest(tree):
  """A hash of every bit of a tree."""
  sha = hashlib.sha256(str(jax.tree.structure(tree)).encode())
  for leaf in jax.tree.leaves(tree):
    sha.update(np.asarray(leaf).tobytes())
  return sha.hexdigest()


def assert_close(a, b, **tolerance):
  """assert_allclose on every leaf."""
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)
