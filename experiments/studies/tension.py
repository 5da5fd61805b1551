"""Helpful against harmless, each trained alone: claim 37."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """A helpful-only and a harmless-only model of as many pairs."""
  size, pairs = config['pm']['middle'], config['pm']['single_pairs']
  return [
    blocks.pm_job(config, root, 'single', size, seed, 'all', pairs, subset)
    for subset in ('helpful', 'harmless')
  ]
