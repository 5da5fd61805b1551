"""The jobs of a study of an imported model on real comparisons.

Preference models with the roles of docs/tables.md, PPO in both directions of
the train PM and the test PM, and the HHH comparisons.
"""

from experiments.studies.job import Job


def _shared(config, root):
  """What every stage is told of the base and the data."""
  keys = ('base', 'size', 'pad_token', 'dtype', 'mesh', 'trained', 'adapters')
  keys += ('data', 'reading')
  return {key: config[key] for key in keys} | {
    'comparisons_dir': '',
    'feature_folder': f'{root}/features',
  }


def pm_job(config, root, role, seed, half, subset, pairs):
  """One preference model."""
  pm = dict(config['pm'])
  for key in ('mixture_pairs', 'calibration_pairs', 'single_pairs'):
    pm.pop(key)
  settings = _shared(config, root) | pm
  settings |= {
    'features': config['features'],
    'read': config['read'],
    'role': role,
    'seed': seed,
    'half': half,
    'train_subset': subset,
    'pairs': pairs,
  }
  return Job(
    name=f'pm/{role}-{subset}-{half}-s{seed}',
    module='experiments.train_pm',
    config=settings,
    program='pm',
    weight=10,
  )


def pm_jobs(config, root, seed):
  """The preference models of one seed; those of 0 pairs are left out."""
  pm = config['pm']
  make = lambda *args: pm_job(config, root, *args)
  jobs = [
    make(role, seed, half, 'mix', pm['pairs'])
    for role, half in (('scaling', 'a'), ('rl', 'b'))
  ]
  if pm['calibration_pairs']:
    args = (seed, 'all', 'helpful', pm['calibration_pairs'])
    jobs.append(make('calibration', *args))
  if pm['mixture_pairs']:
    jobs.append(make('mixture', seed, 'all', 'mix', pm['mixture_pairs']))
  if pm['single_pairs']:
    jobs += [
      make('single', seed, 'all', subset, pm['single_pairs'])
      for subset in ('helpful', 'harmless')
    ]
  return jobs


def rl_job(config, root, seed, train, test):
  """PPO against the PM of half a, watched by that of half b."""
  settings = _shared(config, root) | config['rl']
  settings |= {
    'train_pm_dir': f'{root}/{train.name}',
    'test_pm_dir': f'{root}/{test.name}',
    'value_pm_dir': f'{root}/{train.name}',
    'hashed_rewards': False,
    'world': {},
    'pm_size': '',
    'role': 'linear',
    'seed': seed,
    'half': 'a',
  }
  return Job(
    name=f'rl/linear-a-s{seed}',
    module='experiments.train_ppo',
    config=settings,
    needs=(train, test),
    program='rl',
    weight=5,
  )


def hhh_job(config, root, seed, pms):
  """The HHH comparisons, judged by the base and by some PMs."""
  settings = dict(config['hhh']) | {
    'base': config['base'],
    'size': config['size'],
    'dtype': config['dtype'],
    'pad_token': config['pad_token'],
    'data': config['data'],
    'pm_names': [pm.name.split('/')[1].rsplit('-s', 1)[0] for pm in pms],
    'pm_dirs': [f'{root}/{pm.name}' for pm in pms],
    'role': 'hhh',
    'seed': seed,
    'half': 'all',
  }
  return Job(
    name=f'hhh/s{seed}',
    module='experiments.evaluate_hhh',
    config=settings,
    needs=tuple(pms),
    program='hhh',
    weight=1,
  )


def all_jobs(config, root):
  """Every job of the study, with what it needs."""
  jobs = []
  for seed in config['seeds']:
    pms = pm_jobs(config, root, seed)
    jobs += [*pms, rl_job(config, root, seed, *pms[:2])]
    jobs.append(hhh_job(config, root, seed, pms))
  return jobs
