"""Simulated studies for the claims on rankings: 56 and 57.

How far seeds lie apart no run says yet: one development seed has run at full
size, where shuffled pairs ended .037 and .058 nats behind (docs/kwise.md). The
errors are assumed, a third of the effect.
"""

import pandas as pd

from rlhf_jax.analysis.operating.scenario import Scenario
from rlhf_jax.analysis.operating.tables import run_of

LEVEL, LEVEL_SEED = 0.6, 0.01  # nats a comparison
ERROR = 0.01  # of each model about the level of its seed
SIZE = '42K'
RUNS = [(loss, n) for loss in ('kwise', 'shuffled') for n in (1, 2)]


def _study(rng, seeds, extra):
  """A table of ends of training; extra: (loss, epochs) -> nats above."""
  rows = []
  for seed in seeds:
    level = LEVEL + LEVEL_SEED * rng.standard_normal()
    for loss, epochs in RUNS:
      found = level + extra[loss, epochs] + ERROR * rng.standard_normal()
      run = run_of(f'ranked_{loss}_{epochs}', SIZE, seed)
      for split in ('test', 'train'):
        row = {'loss': loss, 'epochs': epochs, 'pairs': 8_000 * epochs}
        row |= {'split': split, 'log_loss': found, 'pick_loss': 1.6}
        rows.append(run | row | {'accuracy': 0.65, 'n_prompts': 256})
  return {'ranking_curve': pd.DataFrame(rows)}


def together(rng, seeds, where):
  """Claim 56: shuffled pairs end .03 higher after one epoch and after two."""
  extra = dict.fromkeys(RUNS, 0.0)
  for epochs in (1, 2):
    equal = where == f'equal_{epochs}'
    extra['shuffled', epochs] = 0.0 if equal else 0.03
  return _study(rng, seeds, extra)


def second_epoch(rng, seeds, where):
  """Claim 57: the second epoch costs .03."""
  extra = dict.fromkeys(RUNS, 0.0)
  extra['kwise', 2] = 0.0 if where == 'equal' else 0.03
  return _study(rng, seeds, extra)


SCENARIOS = (
  Scenario(
    56,
    together,
    'shuffled pairs .03 nats behind after one epoch and after two; errors of '
    '.01 of each model',
    {
      'equal_1': 'equal after one epoch',
      'equal_2': 'equal after two epochs',
    },
  ),
  Scenario(
    57,
    second_epoch,
    'a second epoch costs .03 nats; errors of .01 of each model',
    {'equal': 'a second epoch costs nothing'},
  ),
)
