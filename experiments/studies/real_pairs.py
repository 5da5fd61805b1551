"""Preference models of real pairs, cross-fitted: claims 1, 4, 6, 7 and 37."""

from experiments.studies.job import Job, filled


def jobs(config, root, seed):
  """Linear heads over the base, every pair scored by those of other folds."""
  values = {'feature_folder': f'{root}/features', 'role': 'cross', 'size': ''}
  values |= {'seed': seed, 'half': 'all'}
  made = filled(config, 'cross_fit', values, {})
  return [Job(f'cross/s{seed}', 'experiments.cross_fit', made)]
