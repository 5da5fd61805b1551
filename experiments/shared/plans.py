"""The plan of a preference model's training, of pairs or of rankings."""

from typing import Any, NamedTuple


class Plan(NamedTuple):
  """What a preference model is trained on and measured with.

  Attributes:
    batches: endless; its position can be saved.
    rows: numbers of what comes in them: of pairs, or of rankings.
    total: steps.
    pairs: comparisons in a step, on average.
    step: program, (state, frozen, batch, rng, PMHyper) -> (state, metrics).
    scores: (both, count) -> (chosen_N, rejected_N) of held-out pairs, the first
      `count` or, None, all; both is (frozen, trained).
    note: (run, step, both), called where the learning curve is read.
    spent: {'flops'}, or {}.
  """

  batches: Any
  rows: Any
  total: int
  pairs: float
  step: Any
  scores: Any
  note: Any
  spent: dict


def steps_of(config, count, unit='pairs'):
  """Number of batches that `count` rows fill in all epochs.

  Raises:
    ValueError: if it is none.
  """
  epochs, batch_size = config['epochs'], config['batch_size']
  if count * epochs < batch_size:
    raise ValueError(
      f'wanted a batch of {batch_size} {unit}, got {count}, {epochs} times: '
      f'lower batch_size or take more {unit}'
    )
  return count * epochs // batch_size
