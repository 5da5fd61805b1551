"""Several preference models as one reward of a PPO run.

The train PM is the first member, `ensemble_dirs` are the others. What stands
for zero, the mean score of each member over replies of pi_0 to the first
training prompts, follows from the config, so that whoever opens the scorers of
a run has the same.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.losses import ensembles
from rlhf_jax.types import Prompts

PROMPTS = 256  # that each member's zero is measured on, a reply to each


@functools.cache
def _combined(functions, way, coef):
  """reward((weights of all, centre_N), *rows) -> reward_B."""

  def reward(weights, *rows):
    each, centre_N = weights
    scores = [f(own, *rows) for f, own in zip(functions, each, strict=True)]
    score_NB = ensembles.centred(jnp.stack(scores), centre_N)
    return ensembles.combined(score_NB, way, coef)

  return reward


@functools.cache
def _scored(functions):
  """Jitted mean score of each member: (weights of all, rows) -> centre_N."""

  @jax.jit
  def ensemble_centres(each, *rows):
    scores = [f(own, *rows) for f, own in zip(functions, each, strict=True)]
    return jnp.stack([score_B.mean() for score_B in scores])

  return ensemble_centres


def reward_of(config, base, members, sample, asked):
  """(reward of the ensemble, its weights with what stands for zero).

  Args:
    config: ensemble_dirs, ensemble, ensemble_coef; max_prompt and seed.
    base: Base of the policy, which is pi_0.
    members: (Network, its function, its weights), the train PM first.
    sample: (params, Prompts, key) -> Rollout.
    asked: training prompts, (text, kind).

  Raises:
    ValueError: if a member has another size or vocabulary than the train PM.
  """
  (first, *_), *others = members
  for path, (pm, *_) in zip(config['ensemble_dirs'], others, strict=True):
    if pm.functions.config != first.functions.config:
      raise ValueError(
        f'{path} is of size {pm.size}, the train PM of size {first.size}: '
        'wanted members of one size and one tokenizer'
      )
  _, functions, weights = zip(*members, strict=True)
  texts = [text for text, _ in asked[:PROMPTS]]
  made = encode_prompts(texts, base.tokenizer, config['max_prompt'])
  rows = Prompts(made.tokens_NP, made.length_N, np.arange(len(texts)))
  out = sample(base.params, rows, jax.random.key(config['seed']))
  centre_N = _scored(functions)(weights, *out[:3])
  combined = _combined(functions, config['ensemble'], config['ensemble_coef'])
  return combined, (weights, centre_N)
