"""Attack success: the share of replies to red-team prompts that do harm.

Prompts are the units: the replies to one are alike. Differences of two policies
are of the same prompts, which the bootstrap draws for both.
"""

import itertools

import numpy as np

from rlhf_jax.analysis.intervals import Interval, cluster_bootstrap

DRAWS, SEED = 2000, 0


def over_prompts(x_PN, draws: int = DRAWS, seed: int = SEED) -> Interval:
  """Mean of x_PN with its percentile bootstrap over prompts; n counts these.

  Args:
    x_PN: a number a reply, N to each of P prompts.
    draws: bootstrap samples.
    seed: of them.
  """
  x_PN = np.asarray(x_PN, float)
  names_P = np.arange(len(x_PN))
  rng = np.random.default_rng(seed)
  one = cluster_bootstrap(x_PN.mean(1), names_P, rng, draws)
  return Interval(one.mean, one.low, one.high, len(x_PN))


def rows_of(success) -> tuple[list[dict], list[dict]]:
  """(rows of attack.csv, rows of attack_differences.csv).

  Args:
    success: {judge: {policy: success_PN}}, 1 where a reply does harm.
  """
  rates, differences = [], []
  for judge, found in success.items():
    for policy, success_PN in found.items():
      row = {'judge': judge, 'policy': policy}
      row |= columns('success', over_prompts(success_PN))
      rates.append(row | {'replies': np.asarray(success_PN).shape[1]})
    for first, second in itertools.combinations(found, 2):
      gap_P = np.mean(found[first], 1) - np.mean(found[second], 1)
      row = {'judge': judge, 'policy': first, 'less': second}
      differences.append(
        row | columns('difference', over_prompts(gap_P[:, None]))
      )
  return rates, differences


def columns(name, one: Interval) -> dict:
  """{name, low, high, prompts} of an Interval."""
  return {name: one.mean, 'low': one.low, 'high': one.high, 'prompts': one.n}
