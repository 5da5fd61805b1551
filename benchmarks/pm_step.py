"""Speed of one preference-model step: forward, backward, clipping, Adam.

    python -m benchmarks.pm_step [--json FILE] [--shape S 197K]

The share of the machine's rate counts forward and backward at three times the
forward products, and compares with the rate of the model's own weight products
at the microbatch used.
"""

from benchmarks import common, single, subjects


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  shape = common.for_device('pm_step', shape)
  return single.lines(
    subjects.pm_step(shape),
    shape,
    rounds,
    warmups,
    samples=('pm_pairs_per_s', 'pairs/s'),
    tokens='pm_tokens_per_s',
  )


if __name__ == '__main__':
  common.main('pm_step', measure)
