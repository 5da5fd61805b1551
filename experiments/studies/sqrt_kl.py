"""Reward against the square root of KL, by policy size: claims 13 to 18, 67."""

from experiments.studies import blocks, scored


def jobs(config, root, seed):
  """Policies of every size against one train PM, and the frontier of each."""
  runs = blocks.linear_runs(config, root, seed)
  return [*runs, *scored.frontier_jobs(config, root, runs)]
