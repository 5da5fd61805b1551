"""Reward against the square root of KL, by policy size: claims 13 to 18."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """Policies of every size against one train PM."""
  return blocks.linear_runs(config, root, seed)
