"""Helpful against harmless, each trained alone: claim 37."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """A helpful-only and a harmless-only model of as many pairs."""
  return blocks.single_pms(config, root, seed)
