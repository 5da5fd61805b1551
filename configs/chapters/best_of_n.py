"""Best-of-n by preference models of all sizes and amounts of data.

24 prompts of 2,048 replies are scored by every one of them: the fewest pairs
are 2 % of the most, as 2,000 of 100,000 comparisons were to Gao et al. Smaller
train PMs have long RL runs of `robustness`, for what over-optimisation is to
their size.
"""

from configs import stages


def sections(config):
  """What the theme adds to the config of a study."""
  return {
    'best_of_n': {
      'size': '13K',  # of pi_0
      'few_pairs': (256, 768, 3072),  # besides those of pm.pairs
      'prompts': 24,
      'replies': 2048,
    },
    **stages.lacking(config, stages.pm_sizes, stages.replies),
  }


def small(config):
  """Cuts it down for a smoke test."""
  config.best_of_n.update(few_pairs=(64, 128), prompts=8, replies=128)
  config.pm_sizes.update(sizes=('3K',))
  config.replies.update(prompts=16)
