"""Where the preference models of both halves are wrong together.

A policy has found a blind spot when, after its best checkpoint in gold, the
test PM still rises while gold falls. Train and test PM start from one language
model, and what both misjudge no test PM shows (Coste et al. 2023; Eisenstein et
al. 2023, arXiv:2312.09244).
"""

import math

import pandas as pd

ERRORS = 2.0  # standard errors of a change that counts


def after_the_best(run: pd.DataFrame) -> dict[str, float]:
  """Change of gold and test PM from the best checkpoint in gold to the last.

  Both checkpoints have replies of their own to the same prompts, so the error
  of a change is at most the root of the sum of their squares.

  Args:
    run: checkpoints of one run.

  Returns:
    gold_change, test_change, blind: 1 where gold falls and the test PM rises,
    each by more than ERRORS standard errors, else 0.
  """
  run = run.sort_values('samples')
  best, last = run.loc[run['gold'].idxmax()], run.iloc[-1]
  change, clear = {}, {}
  for name in ('gold', 'test_pm'):
    error = math.hypot(best[f'{name}_se'], last[f'{name}_se'])
    change[name] = float(last[name] - best[name])
    clear[name] = abs(change[name]) > ERRORS * error
  found = change['gold'] < 0 < change['test_pm'] and all(clear.values())
  return {
    'gold_change': change['gold'],
    'test_change': change['test_pm'],
    'blind': float(found),
  }
