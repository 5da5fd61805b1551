"""A real model distilled from itself behind the HHH prompt."""

from experiments.studies.job import Job, filled


def targets_job(config, seed):
  """What the prompted model thinks of real texts."""
  made = filled(config, 'targets', {'seed': seed}, {})
  return Job(
    f'targets/s{seed}',
    'experiments.make_targets',
    made,
    program='targets',
    weight=made['texts'] / 128,
  )


def distil_job(config, root, seed):
  """The student, which reads them without the prompt."""
  targets = targets_job(config, seed)
  values = {'targets_dir': f'{root}/{targets.name}', 'size': '', 'seed': seed}
  made = filled(config, 'distil', values, {})
  return Job(
    f'distil/s{seed}',
    'experiments.distil',
    made,
    (targets,),
    program='distil',
    weight=made['steps'] * made['batch_size'] / 50,
  )


def jobs(config, root, seed):
  """The student of a seed."""
  if seed in config['seeds'][: config['real_distillation']['seeds']]:
    return [distil_job(config, root, seed)]
  return []
