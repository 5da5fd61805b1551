"""The HHH comparisons of Askell et al. 2021: a table, no claim yet."""

from experiments.studies.job import Job, filled


def evaluations(config, root, seed, trained):
  """The base as it is, with the HHH prompt, and every preference model."""
  pms = [job for job in trained if job.name.startswith('pm/')]
  values = {
    'seed': seed,
    'pm_names': [
      job.name[len('pm/') :].removesuffix(f'-s{seed}') for job in pms
    ],
    'pm_dirs': [f'{root}/{job.name}' for job in pms],
  }
  made = filled(config, 'hhh', values, {})
  return [
    Job(f'hhh/s{seed}', 'experiments.evaluate_hhh', made, tuple(pms), 'hhh')
  ]
