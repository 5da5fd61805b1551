"""The jobs that themes are made of: one maker a stage, config -> Job.

Each takes the study's config, a plain dict, and its absolute root. What a job
needs comes with it.
"""

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


def _chosen(config, *keys):
  return {key: config[key] for key in keys}


def text_job(config, root):
  """Stage 1: the texts."""
  del root
  keys = ('data', 'world', 'test_fraction', 'max_prompt', 'max_reply')
  settings = _chosen(config, *keys) | config['text']
  return Job('text', 'experiments.make_text', settings)


def lm_job(config, root, size):
  """Stage 2: the language model of a size."""
  keys = ('data', 'world', 'dtype', 'mesh', 'max_prompt', 'max_reply')
  settings = _chosen(config, *keys) | config['lm']
  text = text_job(config, root)
  return Job(
    name=f'lm/{size}',
    module='experiments.train_lm',
    config=settings
    | {'text_dir': f'{root}/{text.name}', 'size': size, 'learning_rate': 0.0},
    needs=(text,),
    program=f'lm-{size}',
    weight=10 * _weight(size),
  )


def comparison_job(config, root):
  """Stage 3: comparisons of two replies of a language model."""
  keys = ('data', 'world', 'dtype', 'max_prompt', 'max_reply', 'test_fraction')
  settings = dict(config['comparisons'])
  size = settings.pop('size')
  text, lm = text_job(config, root), lm_job(config, root, size)
  return Job(
    name='comparisons',
    module='experiments.make_comparisons',
    config=settings
    | _chosen(config, *keys)
    | {
      'coin_flip_labels': config['null'],
      'text_dir': f'{root}/{text.name}',
      'lm_size': size,
      'lm_dir': f'{root}/{lm.name}',
    },
    needs=(text, lm),
    weight=100,
  )


def _common(config, root, lm):
  """What preference models and policies are told of base, data and devices."""
  keys = ('data', 'dtype', 'mesh', 'trained', 'adapters', 'reading')
  return _chosen(config, *keys) | {
    'base': f'{root}/{lm.name}',
    'pad_token': '',
    'comparisons_dir': f'{root}/comparisons',
    'feature_folder': f'{root}/features',
    'learning_rate': 0.0,
  }


def _final_eval_pairs(pm, role, size):
  """Test pairs whose scores are kept at the end of a run; 0: none."""
  if role == 'calibration':
    return pm['calibration_eval_pairs']
  if role in ('mixture', 'single') or (role, size) == (
    'scaling',
    pm['largest'],
  ):
    return pm['final_eval_pairs']
  return 0


def pm_job(config, root, role, size, seed, half, pairs, subset='mix'):
  """Stage 4: a preference model.

  Those of all pairs end at a rate that falls to zero.

  Args:
    config: of the study.
    root: of the study.
    role: what it is for (docs/tables.md).
    size: rung of the ladder.
    seed: draws labels, halves and order.
    half: of the comparisons, 'a' or 'b'; 'all'.
    pairs: it trains on.
    subset: of them: 'mix', 'helpful' or 'harmless'.
  """
  pm, decays = config['pm'], half == 'all'
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
  comparisons, lm = comparison_job(config, root), lm_job(config, root, size)
  settings = (
    _chosen(pm, *keys)
    | _common(config, root, lm)
    | {
      'read': config['read'],
      'features': config['features'],
      'lr_multiple': _multiple(pm['lr_multiple'], size)
      * (pm['decay_lr_ratio'] if decays else 1.0),
      'role': role,
      'size': size,
      'seed': seed,
      'half': half,
      'train_subset': subset,
      'schedule': 'decay' if decays else 'constant',
      'schedule_shape': 'linear' if decays else 'constant',
      'pairs': pairs,
      'curve_points': pm['curve_points'] if role == 'scaling' else 1,
      'final_eval_pairs': _final_eval_pairs(pm, role, size),
    }
  )
  return Job(
    name=f'pm/{role}-{size}-{subset}-{half}-s{seed}',
    module='experiments.train_pm',
    config=settings,
    needs=(comparisons, lm),
    program=f'pm-{size}',
    weight=_weight(size) * pairs / 15360,
  )


def scaling_pm(config, root, size, seed):
  """The preference model of a size on half a, with its learning curve."""
  return pm_job(config, root, 'scaling', size, seed, 'a', config['pm']['pairs'])


def has_rl(config, seed):
  """Whether PPO runs on this seed."""
  return seed in config['seeds'][: config['rl']['seeds']]


def rl_job(config, root, role, size, seed, half, pms, **changes):
  """Stage 5: PPO of a policy.

  Args:
    config: of the study.
    root: of the study.
    role: what it is for (docs/tables.md).
    size: rung of the policy.
    seed: of its samples.
    half: that the train PM saw.
    pms: Jobs of the train PM, the test PM and where the value network starts.
    **changes: settings of its own.
  """
  rl = dict(config['rl'])
  special = ('sizes', 'small', 'seeds', 'robust_iterations')
  for key in (*special, 'robust_lr_multiple', 'linear_pi0_samples'):
    rl.pop(key)
  train, test, value = pms
  lm = lm_job(config, root, size)
  settings = rl | _chosen(config, 'world', 'max_prompt', 'max_reply')
  settings |= _common(config, root, lm) | {
    'hashed_rewards': config['null'],
    'train_pm_dir': f'{root}/{train.name}',
    'test_pm_dir': f'{root}/{test.name}',
    'value_pm_dir': f'{root}/{value.name}',
    'role': role,
    'size': size,
    'seed': seed,
    'half': half,
    'pm_size': train.config['size'],
    'pm_pairs': train.config['pairs'],
    **changes,
  }
  return Job(
    name=f'rl/{role}-{size}-{half}-s{seed}',
    module='experiments.train_ppo',
    config=settings,
    needs=tuple({job.name: job for job in (*pms, lm)}.values()),
    program=f'rl-{size}',
    weight=3 * _weight(size) * settings['iterations'] / 72,
  )


def shared_pms(config, root, size, seed):
  """The largest train PM and test PM, and the PM of the policy's own size."""
  pm = config['pm']
  top = pm['largest']
  test = pm_job(config, root, 'rl', top, seed, 'b', pm['pairs'])
  train, own = (scaling_pm(config, root, x, seed) for x in (top, size))
  return train, test, own


def linear_runs(config, root, seed):
  """PPO of every size against one train PM, where PPO runs on the seed."""
  rl = config['rl']
  if not has_rl(config, seed):
    return []
  return [
    rl_job(
      config,
      root,
      'linear',
      size,
      seed,
      'a',
      shared_pms(config, root, size, seed),
      pi0_samples=rl['linear_pi0_samples'],
    )
    for size in rl['sizes']
  ]
