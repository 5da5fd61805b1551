"""Held-out prompts of a run, and what its policies write and score on them.

Every checkpoint is measured on the same prompts, with replies of its own.
"""

from typing import Any

import jax
import numpy as np

from experiments.shared import sources
from experiments.shared.sampling import decoded
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.evals import policy
from rlhf_jax.types import Prompts

SCORES = ('score_0', 'score_1', 'gold')  # train PM, test PM, gold


class HeldOut:
  """Held-out prompts of a run, and what its policies write and score on them.

  Attributes:
    texts: the prompts.
    kinds: 'helpful' or 'harmless' of each.
    world: the World of the gold scores; None on real data.
    pm_size: label of the train PM.
  """

  def __init__(self, config, base, scorers, evaluate, found):
    """Draws `eval_prompts` of the found prompts, the same for every seed.

    Args:
      config: eval_prompts, eval_batch, max_prompt, pi0_samples, seed, data,
        world.
      base: Base, which is pi_0.
      scorers: Scorers.
      evaluate: of `policy_eval`.
      found: [(text, kind)].
    """
    self._config, self._tokenizer = config, base.tokenizer
    self._ref, self._weights, self._evaluate = (
      base.params,
      scorers.weights,
      evaluate,
    )
    self.pm_size = scorers.size
    simulated = config['data']['source'] == 'simulated'
    self.world = sources.world_of(config['world']) if simulated else None
    order = np.random.default_rng(0).permutation(len(found))
    held = [found[i] for i in order[: config['eval_prompts']]]
    short = config['eval_prompts'] - len(held)
    held += [held[i % len(held)] for i in range(short)]
    self.kinds = [kind for _, kind in held]
    self._prompts = encode_prompts(
      [text for text, _ in held], base.tokenizer, config['max_prompt']
    )
    self.texts = self._prompts.text

  def measure(self, trained, iteration, row_offset=0) -> dict[str, Any]:
    """Measurements of a policy, one a prompt, with its replies and their gold.

    Args:
      trained: what the policy has trained.
      iteration: draws the replies, with the seed of the run.
      row_offset: names the rows; replies to rows of other names are others.
    """
    config = self._config
    rows = np.arange(len(self.kinds)) + row_offset
    prompts = Prompts(self._prompts.tokens_NP, self._prompts.length_N, rows)
    rng = jax.random.key(10_000 + config['seed'])
    rng = jax.random.fold_in(rng, iteration)
    out = policy.evaluate_prompts(
      self._evaluate,
      trained,
      self._ref,
      self._weights,
      prompts,
      rng,
      config['eval_batch'],
    )
    rows = out['tokens'], out['prompt_length'], out['total_length']
    replies = decoded(self._tokenizer, *rows)
    out['gold'] = sources.gold_scores(
      self.world, self.texts, self.kinds, replies
    )
    out['replies'] = replies
    return out

  def measure_pi0(self, trained) -> dict[str, np.ndarray]:
    """Scores of pi_0, `pi0_samples` replies to each prompt: score_NC by name.

    Args:
      trained: what a policy has trained that is still pi_0.
    """
    N = len(self.kinds)
    parts = [
      self.measure(trained, 0, row_offset=N * (c + 1))
      for c in range(self._config['pi0_samples'])
    ]
    stack = lambda name: np.stack([part[name] for part in parts], axis=1)
    return {name: stack(name) for name in SCORES}
