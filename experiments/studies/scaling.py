"""Accuracy of preference models against data and size: claims 1 to 3."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """A preference model of every size, at a constant rate."""
  sizes = config['scaling']['sizes']
  return [blocks.scaling_pm(config, root, size, seed) for size in sizes]
