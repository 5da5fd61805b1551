"""A simulated study for a claim, at the boundary of the claim and beyond it."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.findings import Tables

EFFECT = 'effect'


@dataclasses.dataclass(frozen=True)
class Scenario:
  """How tables come about for one claim.

  Attributes:
    claim: its number.
    make: (NumPy generator, seeds, where) -> tables; `where` is 'effect' or the
      name of a boundary.
    effect: what is true where the claim should pass, as a clause.
    boundaries: name -> what is true where it must not: one of its contrasts on
      its bound, the others true.
  """

  claim: int
  make: Callable[[np.random.Generator, Sequence[int], str], Tables]
  effect: str
  boundaries: Mapping[str, str]


def verdicts(
  scenario: Scenario, where: str, n_seeds: int, studies: range
) -> list[str]:
  """The verdicts on simulated studies, of which each has its own number.

  They are those of the judge, its rule on the number of seeds included; a gate
  on PMs at chance is open. Equal numbers give equal studies.
  """
  spec = load().claim(scenario.claim)
  found = []
  for study in studies:
    key = [scenario.claim, n_seeds, zlib.crc32(where.encode()), study]
    tables = scenario.make(np.random.default_rng(key), range(n_seeds), where)
    found.append(judging.judge_claim(spec, tables, {})['verdict'])
  return found
