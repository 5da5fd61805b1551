"""Simulated studies for our own claims on the frontier: 66 and 67."""

import math

import numpy as np
import pandas as pd

from rlhf_jax.analysis.operating import rl
from rlhf_jax.analysis.operating.noise import NOISE
from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import (
  POLICIES,
  bent,
  bent_frontier,
  checkpoints,
  pi0_row,
  run_of,
  subset_rows,
)

# The runs of headline: every iteration is measured, on 1,024 prompts, of which
# one half is of each kind. Noise of a score falls with the root of them.
ROOT = np.interp(np.arange(35), [0, 1, *range(2, 35, 2)], np.asarray(rl.ROOT))
SAMPLES = 256 * np.arange(len(ROOT))
OF_KIND, OF_ALL = math.sqrt(256 / 512), math.sqrt(256 / 1024)
REACH = 1.6  # sqrt(KL) of the last point: 2,048 replies reach a little farther
LEVEL = 0.5  # efficiency of all policies: PPO's gain over the frontier's
# (role, PM) -> bows of the frontier on helpful and on harmless prompts.
BOWS = {
  ('linear', '197K mix 12288'): (-0.03, -0.12),
  ('robust', '197K mix 6144'): (-0.01, -0.09),
  ('helpful_pm', '42K helpful 3840'): (0.0, -0.06),
  ('harmless_pm', '42K harmless 3840'): (-0.08, -0.13),
}


def wander(rng, share):
  """Residuals of checkpoints, each of which follows the one before."""
  after = NOISE['residual_next']
  residual_N = share * NOISE['residual'] * rng.standard_normal(len(ROOT))
  for i in range(1, len(residual_N)):
    new = math.sqrt(1 - after**2) * residual_N[i]
    residual_N[i] = after * residual_N[i - 1] + new
  return residual_N


def same_shape(rng, seeds, where):
  """Claim 66: the bow of a policy is a multiple of that of its frontier."""
  multiple = {'flat': 0.5, 'steep': 1.5}.get(where, 1.0)
  curve, edges = [], []
  for seed in seeds:
    for (role, pm), pair in BOWS.items():
      for size in POLICIES if role == 'linear' else POLICIES[:1]:
        run = run_of(role, size, seed, 'a')
        slope = NOISE['slope'] * math.exp(
          NOISE['slope_seed'] * rng.standard_normal()
        )
        for subset, bow in zip(('helpful', 'harmless'), pair, strict=True):
          labels = {'pm': pm, 'subset': subset}
          edge = bent_frontier(run, bow, slope / LEVEL, REACH, **labels)
          edges.append(edge)
          root_N = ROOT * math.exp(0.08 * rng.standard_normal())
          own_N = slope * REACH * bent(root_N / REACH, multiple * bow)
          gain_N = own_N + wander(rng, OF_KIND)
          curve.append(subset_rows(run, subset, SAMPLES, root_N, gain_N))
  return {
    'rl_subsets': pd.concat(curve, ignore_index=True),
    'frontier': pd.concat(edges, ignore_index=True),
  }


def same_efficiency(rng, seeds, where):
  """Claim 67: every size has the same share of its frontier, or nearly."""
  share = dict.fromkeys(POLICIES, LEVEL)
  if where == 'small':
    share[rl.LARGE] = 0.9 * LEVEL
  curve, pi0, edges = [], [], []
  for seed in seeds:
    log_slope, p_seed = rng.standard_normal(2)
    for size in POLICIES:
      log_run, p_run, error, path = rng.standard_normal(4)
      run = run_of('linear', size, seed, 'a')
      scale = NOISE['slope_seed'] * log_slope
      edge = NOISE['slope'] * math.exp(scale) / LEVEL
      edges.append(bent_frontier(run, 0.0, edge, REACH))
      own = edge * share[size] * math.exp(NOISE['slope_run'] * log_run)
      p = 0.5 + NOISE['exponent_seed'] * p_seed + NOISE['exponent_run'] * p_run
      root_N = ROOT * math.exp(0.08 * path)
      gain_N = own * rl.MIDDLE * (root_N / rl.MIDDLE) ** (2 * p)
      columns = {'train_pm': gain_N + wander(rng, OF_ALL)}
      curve.append(checkpoints(run, SAMPLES, root_N, columns))
      mean = OF_ALL * rl.START_ERROR * error
      pi0.append(pi0_row(run, 'train', mean, 0.7))
  return {
    'rl_curve': pd.concat(curve, ignore_index=True),
    'rl_pi0': pd.DataFrame(pi0),
    'frontier': pd.concat(edges, ignore_index=True),
  }


SCENARIOS = (
  Scenario(
    66,
    same_shape,
    'bows of PPO are those of the frontier (0 to -.13, eight combinations), '
    'with residuals of micro scaled to 1,024 prompts',
    {
      'flat': 'bows of half those of the frontier',
      'steep': 'bows of one and a half times those of the frontier',
    },
  ),
  Scenario(
    67,
    same_efficiency,
    'equal efficiencies; residuals and spread of micro, 1,024 prompts',
    {'small': 'the largest size at 90 % of the efficiency of the others'},
  ),
)
