"""Train PM against test PM, and over-optimisation: claims 19 to 24."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """Long runs of one policy on PMs of few pairs, in both directions."""
  if not blocks.has_rl(config, seed):
    return []
  return blocks.robust_runs(config, root, seed)
