"""Which scored pairs the claims, checks and figures on calibration read.

One choice for all of them, so that a figure cannot show other pairs than the
claim beside it was judged on.
"""

import pandas as pd

from rlhf_jax.analysis.findings import (
  NotRunError,
  Tables,
  largest,
  last,
  select,
)


def final_pairs(tables: Tables, role: str, **where) -> pd.DataFrame:
  """Scored pairs of the largest PM at the end of its training, decayed."""
  pairs = largest(
    select(tables, 'pm_pairs', role=role, schedule='decay', **where)
  )
  return last(pairs, 'pairs')


def helpful_pairs(tables: Tables) -> pd.DataFrame:
  """The helpful-only PM on helpful pairs (claims 4 and 5)."""
  return final_pairs(
    tables, 'calibration', train_subset='helpful', subset='helpful'
  )


def mixture_pairs(tables: Tables) -> pd.DataFrame:
  """The PM of the mixture on all pairs (claim 5)."""
  return final_pairs(tables, 'mixture', train_subset='mix')


def broadest_pairs(tables: Tables) -> tuple[pd.DataFrame, str]:
  """All pairs, of the mixture PM or else of the helpful-only one; its role.

  Claims 6 and 7, and the checks, are judged on them.
  """
  for role in ('mixture', 'calibration'):
    try:
      return final_pairs(tables, role), role
    except NotRunError as error:
      reason = error
  raise reason
