"""Mixtures of helpful and harmless pairs, and weights of the harmless ones.

Shares in steps of 10 % at a constant number of pairs; weights 1 to 10 where
helpful pairs are twice as many (Bai et al. 2022, section 5.1). The numbers of
pairs and of seeds keep both scans under a quarter of an hour.
"""

from configs import stages


def sections(config):
  """What the theme adds to the config of a study."""
  return {
    'mixtures': {
      'sizes': tuple(config.scaling.sizes),
      'seeds': 5,  # the first of the study; none of these claims is on RL
      'pairs': 2560,
      'shares': tuple(range(0, 101, 10)),  # per cent of helpful pairs
      'weighted_share': '67/33',  # helpful to harmless
      'weights': (1.0, 2.0, 3.0, 4.0, 10.0),  # of a harmless pair
    },
    **stages.lacking(config, stages.replies),
  }


def small(config):
  """Cuts it down for a smoke test."""
  config.mixtures.update(sizes=('3K', '13K'), pairs=128, shares=(0, 50, 100))
  config.replies.update(prompts=16)
