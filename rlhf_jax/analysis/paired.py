"""Two studies of the same seeds, number by number.

A study run again in another arithmetic, at another commit or on another machine
shares its seeds with the first. What a seed's own number changes by is then
freer of noise than the difference of two means.
"""

import math
from typing import NamedTuple

import pandas as pd

from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.findings import NotRunError
from rlhf_jax.analysis.intervals import Interval, t_interval


class Change(NamedTuple):
  """One number that decides a claim, in two studies.

  Attributes:
    claim: its number.
    name: of the contrast, as in claims.json.
    first: mean over the shared seeds in the first study.
    second: the same in the second.
    interval: t-interval over seeds of (second - first).
  """

  claim: int
  name: str
  first: float
  second: float
  interval: Interval


def seeds_of(tables, names) -> set:
  """Seeds that some table of these names has, where seeds differ at all.

  Tables of what all seeds share, such as language models, have one seed and
  count for nothing here.
  """
  found = set()
  for name in names:
    frame = tables.get(name)
    if frame is not None and 'seed' in frame:
      seeds = set(frame['seed'].dropna())
      found |= seeds if len(seeds) > 1 else set()
  return found


def of_seed(tables, seed) -> dict[str, pd.DataFrame]:
  """The tables with the rows of one seed, and whole where seeds share them."""
  found = {}
  for name, frame in tables.items():
    of_many = 'seed' in frame and frame['seed'].nunique() > 1
    found[name] = frame[frame['seed'] == seed] if of_many else frame
  return found


def numbers(spec, tables, seed) -> dict[str, float]:
  """Contrast -> its value on the rows of one seed; {} where it has none."""
  try:
    finding = spec.evaluator(of_seed(tables, seed))
  except NotRunError:
    return {}
  values = {c.name: c.interval.mean for c in finding.contrasts}
  return {name: v for name, v in values.items() if math.isfinite(v)}


def changes_of(spec, first, second) -> list[Change]:
  """The changes of one claim; none where the studies share fewer than 2 seeds.

  A contrast that some shared seed lacks in either study is left out, since the
  rest would be a choice of seeds.
  """
  shared = seeds_of(first, spec.tables) & seeds_of(second, spec.tables)
  if spec.evaluator is None or len(shared) < 2:
    return []
  pairs = [
    [numbers(spec, tables, seed) for tables in (first, second)]
    for seed in sorted(shared)
  ]
  found = []
  for name in pairs[0][0]:
    if not all(name in own for pair in pairs for own in pair):
      continue
    a_K = [pair[0][name] for pair in pairs]
    b_K = [pair[1][name] for pair in pairs]
    interval = t_interval([b - a for a, b in zip(a_K, b_K, strict=True)])
    mean = lambda value_K: sum(value_K) / len(value_K)
    found.append(Change(spec.id, name, mean(a_K), mean(b_K), interval))
  return found


def changes(first, second, registry=None) -> list[Change]:
  """Every number of two studies that the seeds they share have on their own.

  Args:
    first: name -> frame, as `runs.read_tables` gives them.
    second: the same of the other study.
    registry: None: that of the house.
  """
  registry = registry or load()
  return [
    change
    for spec in registry.claims
    for change in changes_of(spec, first, second)
  ]


def frame_of(found: list[Change]) -> pd.DataFrame:
  """A row a change: its claim and name, both means, difference, interval."""
  rows = [
    {
      'claim': c.claim,
      'name': c.name,
      'first': c.first,
      'second': c.second,
      'difference': c.interval.mean,
      'low': c.interval.low,
      'high': c.interval.high,
      'seeds': c.interval.n,
    }
    for c in found
  ]
  columns = 'claim name first second difference low high seeds'.split()
  return pd.DataFrame(rows, columns=columns)
