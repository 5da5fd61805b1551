"""Speed of one PPO iteration: sample, score, penalise, estimate, update.

    python -m benchmarks.ppo_iteration [--json FILE] [--shape S 197K]

One compiled program with four models of the shape (policy, pi_0, value network,
preference model), forced lengths, one pass, one update on the whole batch. The
tokens are those of prompts and replies.
"""

from benchmarks import common, single, subjects


def measure(shape, rounds, warmups):
  """Lines of the benchmark; see `common.main`."""
  shape = common.for_device('ppo_iteration', shape)
  return single.lines(
    subjects.ppo_iteration(shape),
    shape,
    rounds,
    warmups,
    samples=('ppo_samples_per_s', 'samples/s'),
    tokens='ppo_tokens_per_s',
  )


if __name__ == '__main__':
  common.main('ppo_iteration', measure)
