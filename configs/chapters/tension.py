"""Mixtures of helpful and harmless pairs, and weights of the harmless ones.

Shares in steps of 10 % at a constant number of pairs; weights 1 to 10 where
helpful pairs are twice as many (Bai et al. 2022, section 5.1). Shares have
eight seeds, which claim 38 asks for, weights five. Policies are held against
one of headline (`helpful_pm`), so that lambda of GAE is .95 as there.

Tried on development seeds 0 and 1: of 2,560 pairs of one kind models of 3K to
197K learned next to nothing of it (.48 to .54; 197K .62 of harmless ones), so
that there was nothing that a mixture could lose. There are 7,332 harmless pairs
to train on; 6,144 leave seeds something to draw.

Time: 27 minutes by estimate after headline, 24 of them without policies. Three
sizes, the largest of the ladder not among them: at that number of pairs it is
no better than the smallest (docs/results.md), and takes as long as the others
together. Shares in steps of 25 % would leave claim 38 a power of 80 % in place
of 92.
"""

from configs import stages


def sections(config):
  """What the theme adds to the config of a study."""
  return {
    'mixtures': {
      'sizes': ('3K', '13K', '42K'),
      'seeds': 8,  # the first of the study; claim 38 wants as many
      'weight_seeds': 5,  # of these; claim 40 wants no more
      'pairs': 6144,
      'shares': tuple(range(0, 101, 10)),  # per cent of helpful pairs
      'weighted_share': '67/33',  # helpful to harmless
      'weights': (1.0, 2.0, 3.0, 4.0, 10.0),  # of a harmless pair
      'eval_prompts': 256,  # of the policy under the mixed model
      'dense_every': 6,
      'pi0_samples': 2,
    },
    **stages.lacking(config, stages.replies),
  }


def small(config):
  """Cuts it down for a smoke test."""
  config.mixtures.update(sizes=('3K', '13K'), pairs=128, shares=(0, 50, 100))
  config.mixtures.update(weight_seeds=1, eval_prompts=64, dense_every=4)
  config.replies.update(prompts=16)
