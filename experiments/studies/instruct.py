"""PPO-ptx and a scan of the KL coefficient: claims 58 to 60.

All runs are the long ones of `robustness` in one direction, but for what is
changed: pretraining text mixed in, or another coefficient of the KL. Whatever
is measured of them is measured once for a seed, all policies beside each other.
"""

import dataclasses

from experiments.studies import blocks
from experiments.studies.job import Job, filled


def jobs(config, root, seed):
  """The runs of a seed and what is measured of them, where PPO runs on it."""
  if not blocks.has_rl(config, seed):
    return []
  return [tax_job(config, root, seed, policies(config, root, seed))]


def policies(config, root, seed):
  """{name: Job}: pi_0, PPO, PPO-ptx, PPO with other coefficients."""
  block = config['instruct']
  found = {
    'pi_0': blocks.lm_job(config, root, config['robustness']['size']),
    'ppo': blocks.robust_runs(config, root, seed)[0],
    'ptx': mixed_run(config, root, seed, block['ptx_coef']),
  }
  for coef in block['kl_coefs']:
    name = f'beta_{coef:g}'
    found[name] = long_run(config, root, name, seed, kl_coef=coef)
  return found


def long_run(config, root, role, seed, **changes) -> Job:
  """A run as that of `robustness` on half a, but for what is changed."""
  block = config['robustness']
  size, pairs = block['size'], block['pm_pairs']
  make = lambda role, size, half: blocks.pm_job(
    config, root, role, size, seed, half, pairs=pairs
  )
  judge = block['pm_size']
  pms = make('robust', judge, 'a'), make('robust', judge, 'b')
  pms = *pms, make('value', size, 'a')
  told = {key: block[key] for key in ('iterations', 'lr_multiple')}
  args = config, root, role, size, seed, 'a', pms, 'instruct_rl'
  return blocks.rl_job(*args, told=told, **changes)


def mixed_run(config, root, seed, coef) -> Job:
  """A long run with text mixed in that its language model was trained on."""
  text = blocks.text_job(config, root)
  own = {'ptx_coef': coef, 'ptx_text': f'{root}/{text.name}'}
  job = long_run(config, root, 'ptx', seed, **own)
  return dataclasses.replace(job, needs=(*job.needs, text))


def tax_job(config, root, seed, found) -> Job:
  """All policies on held-out text, on prompts, and against each other.

  Besides those of the long runs a small policy of `linear` and plain language
  models that are larger.
  """
  found = dict(found)
  found['rlhf'] = blocks.linear_runs(config, root, seed)[0]
  for size in config['instruct']['plain_sizes']:
    found[f'plain_{size}'] = blocks.lm_job(config, root, size)
  text = blocks.text_job(config, root)
  asked = blocks.comparison_job(config, root)
  values = {
    'role': 'tax',
    'seed': seed,
    'half': 'a',
    'text_dir': f'{root}/{text.name}',
    'comparisons_dir': f'{root}/{asked.name}',
    'writer_names': list(found),
    'writer_dirs': [f'{root}/{job.name}' for job in found.values()],
  }
  return Job(
    name=f'tax/s{seed}',
    module='experiments.measure_tax',
    config=filled(config, 'tax', values, {}),
    needs=(text, asked, *found.values()),
    program='tax',
    weight=6,
  )
