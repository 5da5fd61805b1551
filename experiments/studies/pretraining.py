"""Preference models with and without pretraining: claims 53 and 54."""

import dataclasses

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of

VARIANTS = ('ranked', 'binary')


def forum_job(config, root, variant):
  """Pairs of a simulated forum, ranked or tagged."""
  text = blocks.text_job(config, root)
  values = {'text_dir': f'{root}/{text.name}', 'variant': variant}
  made = filled(config, 'forum', values, {})
  name, module = f'forum/{variant}', 'experiments.make_forum'
  return Job(name, module, made, needs=(text,), weight=50)


def pretrained(config, root, variant, seed):
  """A preference model of all pairs of the forum."""
  block, forum = config['pretraining'], forum_job(config, root, variant)
  job = blocks.pm_job(
    config,
    root,
    f'pmp_{variant}',
    block['size'],
    seed,
    'all',
    comparisons_dir=f'{root}/{forum.name}',
    pairs=0,
    lr_multiple=block['lr_multiple'],
  )
  lm = blocks.lm_job(config, root, block['size'])
  # Half as many texts again a pair of the binary variant, a weight of its own.
  weight = cost_of(block['size']) * config['forum']['pairs'] / 15360
  return dataclasses.replace(job, needs=(forum, lm), weight=weight)


def finetuned(config, root, before, pairs, seed):
  """A preference model of so many comparisons.

  Args:
    config: of the study.
    root: of the study.
    before: 'none', or a variant of pretraining.
    pairs: comparisons of workers.
    seed: of the run.
  """
  more, needs = {}, ()
  if before != 'none':
    needs = (pretrained(config, root, before, seed),)
    more['base'] = f'{root}/{needs[0].name}'
  size = config['pretraining']['size']
  args = config, root, f'after_{before}', size, seed, 'all'
  job = blocks.pm_job(*args, pairs=pairs, **more)
  name = job.name.replace('-all-', f'-{pairs}-')
  return dataclasses.replace(job, name=name, needs=(*job.needs, *needs))


def jobs(config, root, seed):
  """Every number of comparisons after nothing, and after each variant."""
  return [
    finetuned(config, root, before, pairs, seed)
    for before in ('none', *VARIANTS)
    for pairs in config['pretraining']['pairs']
  ]
