"""Heads of shares of real helpful and harmless pairs: claim 38."""

from experiments.studies.job import Job, filled


def jobs(config, root, seed):
  """Linear heads of each share, at one number of pairs, cross-fitted."""
  values = {'feature_folder': f'{root}/features', 'role': 'shares', 'size': ''}
  values |= {'seed': seed, 'half': 'all'}
  made = filled(config, 'real_mixtures', values, {})
  return [Job(f'shares/s{seed}', 'experiments.cross_fit', made)]
