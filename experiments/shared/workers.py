"""What the workers of a simulated world think of many replies."""

import numpy as np

from experiments.shared import sources

OTHERS = 256  # replies of pi_0 that each reply is compared with
MARGINS = 4001  # odd: a margin of 0 is one of them


def with_workers(scores, kinds, world):
  """The scores, and of each reply P(a worker prefers it to one of pi_0's).

  Args:
    scores: {scorer: score_PN}.
    kinds: of the prompts.
    world: of gold; None: there is none, and no such column.
  """
  if world is None or 'gold' not in scores:
    return scores
  gold_PN = scores['gold']
  step = max(1, gold_PN.shape[1] // OTHERS)
  prefers = {kind: preference_of(world, kind, gold_PN) for kind in set(kinds)}
  worker_PN = np.stack(
    [
      prefers[kind](gold_N[:, None] - gold_N[None, ::step]).mean(1)
      for kind, gold_N in zip(kinds, gold_PN, strict=True)
    ]
  )
  return scores | {'worker': worker_PN}


def preference_of(world, kind, gold_PN):
  """Margin of gold -> P(a worker prefers the reply), by a table.

  A sum over the world's workers for each pair of replies would take minutes;
  4,001 margins, with straight lines between, are right to 1e-4.

  Args:
    world: of the workers.
    kind: of the prompt.
    gold_PN: no margin is larger than the range of these.
  """
  span = float(np.ptp(gold_PN)) or 1.0
  margin_N = np.linspace(-span, span, MARGINS)
  zero_N1 = np.zeros((MARGINS, 1))
  p_N = sources.win_probability(world, [kind] * MARGINS, margin_N, zero_N1)
  return lambda margin: np.interp(margin, margin_N, p_N)
