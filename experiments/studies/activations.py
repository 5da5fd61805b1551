"""A generative model of a network's activations: claims 61 to 65.

After Wang et al. 2016, of which only the abstract and the first paragraph could
be read: a reconstruction (rlhf_jax/models/cnn). A seed is one job, which needs
nothing that other themes make.
"""

from experiments.studies.job import Job, filled

ROLE = 'activations'
WEIGHT = 30


def jobs(config, root, seed):
  """The job of a seed."""
  del root
  values = {'role': ROLE, 'seed': seed, 'half': 'all'}
  return [
    Job(
      f'activations/s{seed}',
      'experiments.render_activations',
      filled(config, 'activations', values, {}),
      program='activations',
      weight=WEIGHT,
    )
  ]
