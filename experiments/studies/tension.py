"""Helpful against harmless, each trained alone: claim 37."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """A helpful-only and a harmless-only model of as many pairs."""
  block = config['tension']
  changes = {key: block[key] for key in ('pairs', 'final_eval_pairs')}
  return [
    blocks.pm_job(
      config, root, 'single', block['size'], seed, 'all', subset, **changes
    )
    for subset in ('helpful', 'harmless')
  ]
