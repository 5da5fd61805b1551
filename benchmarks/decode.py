"""Speed of sampling replies: one prefill, then one token a step.

    python -m benchmarks.decode [--json FILE] [--shape S 197K]

Temperature 1, no top-k or top-p, forced length. The tokens are the new ones;
their log-probabilities are computed too. The weight products of a step have one
row a reply, so the machine's rate is measured at that many rows.
"""

from benchmarks import common, single, subjects


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  return single.lines(
    subjects.decode(shape),
    shape,
    rounds,
    warmups,
    samples=('decode_replies_per_s', 'samples/s'),
    tokens='decode_tokens_per_s',
  )


if __name__ == '__main__':
  common.main('decode', measure)
