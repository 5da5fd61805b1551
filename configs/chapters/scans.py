"""Train PMs of the policy's own size and of all sizes; passes of PPO.

Scan A is the linear runs, under the largest train PM; in scan B each policy has
a train PM of its own size (Bai et al. 2022, section 4.2). Test PMs of all sizes
score the final policies. Runs of 2 passes are the linear ones. How often runs
of a number of passes end below their start is beside claim 26; in a public
replication at 1B weights two of four seeds did (Huang et al. 2024,
arXiv:2403.17031, win rates .20 and .22 after .325, read off its figure).

All are held against runs of headline, so that lambda of GAE is .95 as there.

Time: 54 minutes by estimate after headline, 29 after `best_of_n`, whose long
runs and PMs these are: long runs 24, policies under PMs of their own size 11,
runs by passes 12, PMs 4, scoring 2. Claims 23 and 26 are on the ends of runs,
which few prompts tell: their curves are measured on 256, every second time.
"""

from configs import stages


def sections(config):
  """What the theme adds to the config of a study."""
  return {
    'scans': {
      'own_sizes': tuple(config.linear.sizes[:-1]),
      'passes': (1, 4),
      'eval_prompts': 256,  # of both kinds of runs
      'dense_every': 2,
      'pi0_samples': 2,
    },
    **stages.lacking(config, stages.pm_sizes, stages.replies),
  }


def small(config):
  """Cuts it down for a smoke test."""
  config.scans.update(passes=(1, 4), eval_prompts=64, dense_every=4)
  config.pm_sizes.update(sizes=('3K',), eval_prompts=64)
  config.replies.update(prompts=16)
