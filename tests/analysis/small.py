"""Tables of a few rows, for claims whose numbers are worked out by hand."""

import math

import pandas as pd

from rlhf_jax.analysis.claims.registry import load

SEEDS = (0, 1, 2)
PARAMS = {'S': 1_000, 'M': 4_000, 'L': 16_000}
RUN = {
  'seed': 0,
  'config_hash': 'c0ffee',
  'commit': 'abc1234',
  'role': 'scaling',
  'size': 'L',
  'half': 'a',
}
# t at 2 degrees of freedom over sqrt(3): half an interval of three seeds is
# this many standard deviations.
HALF_OF_THREE = 4.302652729911275 / 3**0.5


def table(name, rows, **shared):
  """A table whose rows say what matters; all other columns are 0.

  A run id follows from role, size, half and seed, so rows that agree in them
  are of one run.
  """
  columns = dict.fromkeys(load().tables[name].columns, 0.0)
  found = []
  for row in rows:
    row = {**RUN, **columns, **shared, **row}
    row.setdefault('n_params', PARAMS.get(row['size'], 0))
    run = (row[key] for key in ('role', 'size', 'half', 'seed'))
    row.setdefault('run_id', '-'.join(map(str, run)))
    found.append(row)
  return pd.DataFrame(found)


def interval(values):
  """[low, high] of the mean of three seeds, by hand."""
  assert len(values) == 3
  mean = sum(values) / 3
  sd = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
  return [mean - HALF_OF_THREE * sd, mean + HALF_OF_THREE * sd]


def logit_interval(values):
  """[low, high] of three probabilities, through their log-odds, by hand."""
  ends = interval([math.log(p / (1 - p)) for p in values])
  return [1 / (1 + math.exp(-end)) for end in ends]


def numbers(finding):
  """Name -> mean of every contrast and side number."""
  means = {c.name: c.interval.mean for c in finding.contrasts}
  return means | dict(finding.measured)


def ends(finding, name):
  """[low, high] of the contrast of this name."""
  (found,) = [c.interval for c in finding.contrasts if c.name == name]
  return [found.low, found.high]


def sides(finding):
  """Name -> (side, bound): what a pass needs of each contrast."""
  return {c.name: (c.side, c.bound) for c in finding.contrasts}
