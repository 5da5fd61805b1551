"""The study as a list of jobs: which stage and config, after which others."""

from experiments.studies import imported as plan_imported
from experiments.studies.job import Job

COST = {'3K': 1, '13K': 1.3, '42K': 2.5, '197K': 6, '810K': 20}


def _weight(size):
  return COST.get(size, 50)


def _multiple(table, size):
  """Learning-rate multiple of a rung (`_2_7M` stands for 2.7M)."""
  key = '_' + size.replace('.', '_')
  if key not in table:
    raise ValueError(
      f'pm.lr_multiple has no entry {key} for the size {size}: add it'
    )
  return table[key]


def text_job(config, root):
  """Stage 1."""
  settings = {
    'data': config['data'],
    'world': config['world'],
    'test_fraction': config['test_fraction'],
    'max_prompt': config['max_prompt'],
    'max_reply': config['max_reply'],
    **config['text'],
  }
  return Job('text', 'experiments.make_text', settings)


def lm_jobs(config, root):
  """Stage 2: one language model a size."""
  lm = dict(config['lm'])
  sizes = lm.pop('sizes')
  return [
    Job(
      name=f'lm/{size}',
      module='experiments.train_lm',
      config={
        'data': config['data'],
        'world': config['world'],
        'dtype': config['dtype'],
        'max_prompt': config['max_prompt'],
        'max_reply': config['max_reply'],
        'text_dir': f'{root}/text',
        'size': size,
        'learning_rate': 0.0,
        'mesh': config['mesh'],
        **lm,
      },
      needs=('text',),
      program=f'lm-{size}',
      weight=10 * _weight(size),
    )
    for size in sizes
  ]


def comparison_job(config, root):
  """Stage 3."""
  settings = dict(config['comparisons'])
  size = settings.pop('size')
  settings |= {
    'data': config['data'],
    'world': config['world'],
    'dtype': config['dtype'],
    'max_prompt': config['max_prompt'],
    'max_reply': config['max_reply'],
    'test_fraction': config['test_fraction'],
    'coin_flip_labels': config['null'],
    'text_dir': f'{root}/text',
    'lm_size': size,
    'lm_dir': f'{root}/lm/{size}',
  }
  return Job(
    name='comparisons',
    module='experiments.make_comparisons',
    config=settings,
    needs=('text', f'lm/{size}'),
    weight=100,
  )


def _common(config, root, size):
  """What preference models and policies are told of base, data and devices."""
  keys = ('data', 'dtype', 'mesh', 'trained', 'adapters', 'reading')
  return {key: config[key] for key in keys} | {
    'base': f'{root}/lm/{size}',
    'pad_token': '',
    'comparisons_dir': f'{root}/comparisons',
    'feature_folder': f'{root}/features',
  }


def final_eval_pairs(pm, role, size):
  """Test pairs whose scores are kept at the end of a run; 0: none."""
  if role == 'calibration':
    return pm['calibration_eval_pairs']
  if role in ('mixture', 'single') or (role, size) == (
    'scaling',
    pm['largest'],
  ):
    return pm['final_eval_pairs']
  return 0


def pm_job(config, root, role, size, seed, half, subset, schedule, pairs):
  """Stage 4: one preference model."""
  pm = config['pm']
  keys = (
    'epochs',
    'batch_size',
    'microbatches',
    'warmup',
    'b2',
    'average_eta',
    'curve_eval_pairs',
    'eval_batch',
    'log_every',
    'checkpoint_every',
  )
  settings = {k: pm[k] for k in keys} | {
    **_common(config, root, size),
    'read': config['read'],
    'features': config['features'],
    'learning_rate': 0.0,
    'lr_multiple': _multiple(pm['lr_multiple'], size)
    * (pm['decay_lr_ratio'] if schedule == 'decay' else 1.0),
    'role': role,
    'size': size,
    'seed': seed,
    'half': half,
    'train_subset': subset,
    'schedule': schedule,
    'schedule_shape': 'linear' if schedule == 'decay' else 'constant',
    'pairs': pairs,
    'curve_points': pm['curve_points'] if role == 'scaling' else 1,
    'final_eval_pairs': final_eval_pairs(pm, role, size),
  }
  return Job(
    name=f'pm/{role}-{size}-{subset}-{half}-s{seed}',
    module='experiments.train_pm',
    config=settings,
    needs=('comparisons', f'lm/{size}'),
    program=f'pm-{size}',
    weight=_weight(size) * pairs / 15360,
  )


def has_rl(config, seed):
  """Whether PPO runs on this seed."""
  return seed in config['seeds'][: config['rl']['seeds']]


def pm_jobs(config, root, seed):
  """The preference models of one seed."""
  pm = config['pm']
  make = lambda *args: pm_job(config, root, *args)
  top, robust, middle = pm['largest'], pm['robust_size'], pm['middle']
  jobs = [
    make('scaling', size, seed, 'a', 'mix', 'constant', pm['pairs'])
    for size in pm['sizes']
  ]
  many, few = pm['calibration_pairs'], pm['single_pairs']
  jobs.append(
    make('calibration', middle, seed, 'all', 'helpful', 'decay', many)
  )
  jobs.append(make('mixture', middle, seed, 'all', 'mix', 'decay', many))
  jobs += [
    make('single', middle, seed, 'all', subset, 'decay', few)
    for subset in ('helpful', 'harmless')
  ]
  if not has_rl(config, seed):
    return jobs
  jobs.append(make('rl', top, seed, 'b', 'mix', 'constant', pm['pairs']))
  for half in 'ab':
    args = (seed, half, 'mix', 'constant', pm['robust_pairs'])
    jobs.append(make('robust', robust, *args))
    jobs.append(make('value', config['rl']['small'], *args))
  return jobs


def rl_job(config, root, role, size, seed, half, kl_coef, pms, pm_size, pairs):
  """Stage 5: one PPO run; `pms` are the names of (train, test, value) PMs."""
  rl = dict(config['rl'])
  for key in ('sizes', 'small', 'seeds'):
    rl.pop(key)
  iterations, lr = rl.pop('robust_iterations'), rl.pop('robust_lr_multiple')
  pi0_samples = rl.pop('linear_pi0_samples')
  if role == 'robust':
    rl |= {'iterations': iterations, 'lr_multiple': lr}
  if role == 'linear':
    rl |= {'pi0_samples': pi0_samples}
  train, test, value = pms
  settings = rl | {
    **_common(config, root, size),
    'world': config['world'],
    'learning_rate': 0.0,
    'max_prompt': config['max_prompt'],
    'max_reply': config['max_reply'],
    'hashed_rewards': config['null'],
    'train_pm_dir': f'{root}/{train}',
    'test_pm_dir': f'{root}/{test}',
    'value_pm_dir': f'{root}/{value}',
    'role': role,
    'size': size,
    'seed': seed,
    'half': half,
    'kl_coef': kl_coef,
    'pm_size': pm_size,
    'pm_pairs': pairs,
  }
  return Job(
    name=f'rl/{role}-{size}-{half}-s{seed}',
    module='experiments.train_ppo',
    config=settings,
    needs=tuple(dict.fromkeys((*pms, f'lm/{size}'))),
    program=f'rl-{size}',
    weight=3 * _weight(size) * settings['iterations'] / 72,
  )


def rl_jobs(config, root, seed):
  """The PPO runs of one seed."""
  rl, pm = config['rl'], config['pm']
  top, robust, small = pm['largest'], pm['robust_size'], rl['small']
  scaling = lambda size: f'pm/scaling-{size}-mix-a-s{seed}'
  pair = (scaling(top), f'pm/rl-{top}-mix-b-s{seed}')
  make = lambda *args: rl_job(config, root, *args)
  jobs = []
  for size in rl['sizes']:
    pms = (*pair, scaling(size))
    args = (size, seed, 'a', rl['kl_coef'], pms, top, pm['pairs'])
    jobs.append(make('linear', *args))
  pms = (*pair, scaling(small))
  jobs.append(make('inert', small, seed, 'a', 0.0, pms, top, pm['pairs']))
  halves = {h: f'pm/robust-{robust}-mix-{h}-s{seed}' for h in 'ab'}
  for half, other in ('ab', 'ba'):
    value = f'pm/value-{small}-mix-{half}-s{seed}'
    pms = (halves[half], halves[other], value)
    args = (small, seed, half, rl['kl_coef'], pms, robust, pm['robust_pairs'])
    jobs.append(make('robust', *args))
  return jobs


def all_jobs(config, root):
  """Every job of the study, with what it needs."""
  if 'base' in config:  # of an imported model
    return plan_imported.all_jobs(config, root)
  jobs = [text_job(config, root), *lm_jobs(config, root)]
  jobs.append(comparison_job(config, root))
  for seed in config['seeds']:
    jobs += pm_jobs(config, root, seed)
    if has_rl(config, seed):
      jobs += rl_jobs(config, root, seed)
  return jobs
