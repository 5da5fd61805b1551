"""Best-of-n by preference models of all sizes and amounts of data.

24 prompts of 2,048 replies are scored by every one of them: the few pairs are
2 % of the others, as 2,000 of 100,000 comparisons were to Gao et al. Smaller
train PMs have long RL runs of `robustness`, for what over-optimisation is to
their size; as those of headline, with which claim 35 compares them, they have a
lambda of GAE of .95 and as many iterations.

Time: 47 minutes by estimate after headline: long runs 24, shared with `scans`;
scoring 21, which grows with the number of PMs. PMs of 768 and 3,072 pairs (24
with their scoring) decide nothing; of train PMs of long runs claim 35 asks for
three sizes; and these runs are measured on as many prompts as those of micro
were, 256, at every checkpoint that those of headline have.
"""

from configs import stages


def sections(config):
  """What the theme adds to the config of a study."""
  return {
    'best_of_n': {
      'size': '13K',  # of pi_0
      'few_pairs': (256,),  # besides those of pm.pairs
      'prompts': 24,
      'replies': 2048,
    },
    **stages.lacking(config, stages.pm_sizes, stages.replies),
  }


def small(config):
  """Cuts it down for a smoke test."""
  config.best_of_n.update(few_pairs=(64, 128), prompts=8, replies=128)
  config.pm_sizes.update(sizes=('3K',), eval_prompts=64)
  config.replies.update(prompts=16)
