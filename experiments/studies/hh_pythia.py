"""The jobs of a cluster sweep: data, preference models, policies."""

import re
from pathlib import Path

from experiments.studies.job import Job, Resources, filled

DATA_HOURS = 0.5  # of reading and tokenising
HOST = {'cpus': 8, 'host_bytes': 128 * 2**30}


def key_of(size):
  """A size as a key of a config: pythia_1_4b."""
  return re.sub(r'\W', '_', size)


def gpus_of(config, size):
  """GPUs of a size's jobs.

  Raises:
    ValueError: if the config does not say.
  """
  if key_of(size) not in config['gpus']:
    raise ValueError(f'gpus has no entry {key_of(size)} for {size}: add it')
  return config['gpus'][key_of(size)]


def microbatches(rows, at_once, gpus):
  """Parts of a batch: a GPU differentiates `at_once` rows at a time at most.

  Raises:
    ValueError: if the rows cannot be cut so.
  """
  if min(rows, at_once, gpus) < 1:
    raise ValueError(
      f'wanted 1 or more of batch_size, rows_at_once and GPUs, got {rows}, '
      f'{at_once} and {gpus}'
    )
  parts = -(-rows // (at_once * gpus))
  if rows % (parts * gpus):
    raise ValueError(
      f'{rows} rows cannot be cut into {parts} parts over {gpus} GPUs: change '
      'batch_size or rows_at_once'
    )
  return parts


def mesh_section(gpus):
  """Everything is cut over the GPUs of a job."""
  return {'data': 1, 'fsdp': gpus, 'model': 1}


def resources_of(config, kind, size, estimate):
  """Resources of a job; `estimate(kind, size, gpus)` gives (bytes, hours)."""
  gpus = gpus_of(config, size)
  gpu_bytes, hours = estimate(kind, size, gpus)
  return Resources(gpus=gpus, gpu_bytes=gpu_bytes, hours=hours, **HOST)


def data_job(config):
  """The pairs and prompts, in the tokenizer that all sizes share.

  It has a GPU, which it does not use: nodes without one may not be at hand.
  """
  settings = config['release'] | {
    'path': config['data']['path'],
    'on_error': config['data']['on_error'],
    'pad_token': config['pad_token'],
    'tokenizer_dir': f'{config["models"]}/{config["sizes"][0]}',
    'max_prompt': config['max_prompt'],
    'max_reply': config['max_reply'],
  }
  return Job(
    name='data',
    module='experiments.import_hh',
    config=settings,
    resources=Resources(gpus=1, hours=DATA_HOURS, **HOST),
  )


def _shared(config, root, size, seed):
  """What the sections of both stages leave open."""
  values = {
    'mesh': mesh_section(gpus_of(config, size)),
    'base': f'{config["models"]}/{size}',
    'comparisons_dir': f'{root}/data',
    'feature_folder': f'{root}/features',
    'size': size,
    'seed': seed,
  }
  return values


def pm_job(config, root, size, seed, half, data, estimate):
  """One preference model; half a rewards, half b watches."""
  values = _shared(config, root, size, seed)
  rows, pairs = config['pm']['batch_size'], config['rows_at_once']['pm'] // 2
  values |= {
    'microbatches': microbatches(rows, pairs, gpus_of(config, size)),
    'train_subset': 'mix',
    'role': 'scaling' if half == 'a' else 'rl',
    'half': half,
  }
  return Job(
    name=f'pm/{size}-{half}-s{seed}',
    module='experiments.train_pm',
    config=filled(config, 'pm', values, {'data': config['data']}),
    needs=(data,),
    program=f'pm-{size}',
    resources=resources_of(config, 'pm', size, estimate),
  )


def rl_job(config, root, size, seed, data, pms, estimate):
  """One policy against the train PM of its size and seed.

  `pms` are its Jobs by half.
  """
  rl, gpus = config['rl'], gpus_of(config, size)
  at_once = config['rows_at_once']['rl']
  values = _shared(config, root, size, seed)
  values |= {
    'microbatches': microbatches(rl['minibatch_size'], at_once, gpus),
    # Forward passes alone: four times the rows.
    'scoring_parts': microbatches(rl['eval_batch'], 4 * at_once, gpus),
    'pm_size': size,
    'train_pm_dir': f'{root}/{pms["a"].name}',
    'test_pm_dir': f'{root}/{pms["b"].name}',
    'value_pm_dir': f'{root}/{pms["a"].name}',
    'role': 'linear',
    'half': 'a',
  }
  pairs = rl['pm_pairs'] or config['pm']['pairs']
  changes = {'data': config['data'], 'pm_pairs': pairs}
  return Job(
    name=f'ppo/{size}-s{seed}',
    module='experiments.train_ppo',
    config=filled(config, 'rl', values, changes),
    needs=(data, *pms.values()),
    program=f'ppo-{size}',
    resources=resources_of(config, 'ppo', size, estimate),
  )


def all_jobs(config, root, estimate=lambda kind, size, gpus: (0.0, 0.0)):
  """Every job in the order of its number: data, PMs by size, policies by size.

  Args:
    config: of `configs/sweeps/hh_pythia.py`, a plain dict.
    root: directory of the sweep.
    estimate: (bytes of each GPU, hours) of a kind ('pm' or 'ppo') of job, a
      size and a number of GPUs.
  """
  config = dict(config, models=_absolute(config['models']))
  config['data'] = dict(config['data'], path=_absolute(config['data']['path']))
  root, sizes, seeds = _absolute(root), config['sizes'], config['seeds']
  data = data_job(config)
  pms = {
    (size, seed, half): pm_job(config, root, size, seed, half, data, estimate)
    for size in sizes
    for seed in seeds
    for half in 'ab'
  }
  policies = [
    rl_job(
      config,
      root,
      size,
      seed,
      data,
      {half: pms[size, seed, half] for half in 'ab'},
      estimate,
    )
    for size in sizes
    for seed in seeds
  ]
  return [data, *pms.values(), *policies]


def _absolute(path):
  return str(Path(path).resolve()) if path else ''
