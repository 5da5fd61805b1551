"""Policies that answer the same held-out prompts, judged by the crowd."""

import itertools

import jax
import numpy as np

from experiments.shared import sources, writers
from experiments.shared.files import read_json


def held_out(config):
  """[(text, kind)] of held-out prompts, the same for every seed."""
  found = read_json(f'{config["comparisons_dir"]}/prompts.json')['test']
  order = np.random.default_rng(0).permutation(len(found))
  return [found[i] for i in order[: config['prompts']]]


def answered(config, writer, prompts, world, number):
  """(gold_NC, words) of a policy's replies, C to each prompt.

  Args:
    config: replies, seed, max_prompt, sample_batch.
    writer: Writer of the policy.
    prompts: [(text, kind)].
    world: of the gold scores; None on real data: NaN.
    number: of the policy, which draws its replies.
  """
  each = config['replies']
  texts = [text for text, _ in prompts for _ in range(each)]
  kinds = [kind for _, kind in prompts for _ in range(each)]
  key = jax.random.fold_in(jax.random.key(20_000 + config['seed']), number)
  said = writers.replies_of(writer, texts, config, key, label='matches')
  gold_N = sources.gold_scores(world, texts, kinds, said)
  words = float(np.mean([len(reply.split()) for reply in said]))
  return gold_N.reshape(-1, each), words


def rows_of(names, gold, kinds, world):
  """Rows of matches: P(the crowd prefers the player), over all replies.

  Args:
    names: of the policies.
    gold: {name: gold_NC}.
    kinds: of the N prompts.
    world: of the crowd; None on real data: NaN.
  """
  rows = []
  for a, b in itertools.combinations(names, 2):
    rate_CN = [
      sources.win_probability(world, kinds, gold_N, gold[b])
      for gold_N in gold[a].T
    ]
    rate = float(np.mean(rate_CN))
    for player, opponent, won in ((a, b, rate), (b, a, 1 - rate)):
      row = {'player': player, 'opponent': opponent, 'win_rate': won}
      rows.append(row | {'games': gold[a].size})
  return rows
