"""Train PMs of the policy's own size and of all sizes; passes of PPO.

Scan A is the linear runs, under the largest train PM; in scan B each policy has
a train PM of its own size (Bai et al. 2022, section 4.2). Test PMs of all sizes
score the final policies. Runs of 2 passes are the linear ones. How often runs
of a number of passes end below their start is beside claim 26; in a public
replication at 1B weights two of four seeds did (Huang et al. 2024,
arXiv:2403.17031, win rates .20 and .22 after .325, read off its figure).
"""

from configs import stages


def sections(config):
  """What the theme adds to the config of a study."""
  return {
    'scans': {
      'own_sizes': tuple(config.linear.sizes[:-1]),
      'passes': (1, 4),
    },
    **stages.lacking(config, stages.pm_sizes, stages.replies),
  }


def small(config):
  """Cuts it down for a smoke test."""
  config.scans.update(passes=(1, 4))
  config.pm_sizes.update(sizes=('3K',))
  config.replies.update(prompts=16)
