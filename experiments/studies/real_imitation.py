"""Log-likelihood against heads on real ranked sets: claim 52's real twin."""

from experiments.studies.job import Job, filled


def jobs(config, root, seed):
  """All sets of a seed, cross-fitted."""
  values = {'feature_folder': f'{root}/features', 'role': 'real_sets'}
  values |= {'size': '', 'seed': seed, 'half': 'all'}
  made = filled(config, 'compare_ranked', values, {})
  return [Job(f'real_sets/s{seed}', 'experiments.compare_ranked', made)]
