"""Calibration of helpful-only and mixture preference models: claims 4 to 7."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """A helpful-only model and one of both kinds, on all pairs."""
  size, pairs = config['pm']['middle'], config['pm']['calibration_pairs']
  return [
    blocks.pm_job(config, root, role, size, seed, 'all', pairs, subset)
    for role, subset in (('calibration', 'helpful'), ('mixture', 'mix'))
  ]
