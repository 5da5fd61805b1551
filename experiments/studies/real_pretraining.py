"""Heads of real pairs, with and without pretraining on public rankings."""

from experiments.studies.job import Job, filled


def jobs(config, root, seed):
  """All heads of a seed, cross-fitted."""
  values = {'feature_folder': f'{root}/features', 'role': 'pretrained'}
  values |= {'size': '', 'seed': seed, 'half': 'all'}
  made = filled(config, 'pretrain_heads', values, {})
  return [Job(f'pretrained/s{seed}', 'experiments.pretrain_heads', made)]
