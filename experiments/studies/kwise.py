"""Preference models of rankings, and what they are beside: claims 56 and 57."""

import dataclasses

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of

LOSSES = ('kwise', 'shuffled')


def rankings_job(config, root, seed) -> Job:
  """Rankings of a seed's own: its prompts, replies and workers."""
  text = blocks.text_job(config, root)
  size = config['comparisons']['lm_size']
  lm = blocks.lm_job(config, root, size)
  values = {'text_dir': f'{root}/{text.name}', 'seed': seed}
  values |= {'lm_dir': f'{root}/{lm.name}', 'lm_size': size}
  return Job(
    name=f'rankings/s{seed}',
    module='experiments.make_rankings',
    config=filled(config, 'rankings', values, {}),
    needs=(text, lm),
    program=f'rankings-{size}',
    weight=10,
  )


def ranked_pm(config, root, loss, epochs, seed) -> Job:
  """A preference model of a seed's rankings."""
  made, block = rankings_job(config, root, seed), config['kwise_pm']
  size = config['kwise']['size']
  job = blocks.pm_job(
    config,
    root,
    f'ranked_{loss}_{epochs}',
    size,
    seed,
    'all',
    section='kwise_pm',
    told={'loss': loss, 'epochs': epochs},
    **{key: block[key] for key in ('schedule', 'schedule_shape')},
  )
  each = cost_of(size)
  return dataclasses.replace(
    job,
    config=job.config | {'comparisons_dir': f'{root}/{made.name}'},
    needs=(made, blocks.lm_job(config, root, size)),
    weight=epochs * each * config['rankings']['prompts'] / 1024,
  )


def jobs(config, root, seed):
  """Every loss at every number of epochs; the best of K at the first."""
  epochs = config['kwise']['epochs']
  runs = [(loss, n) for loss in LOSSES for n in epochs]
  runs.append(('best_of', epochs[0]))
  return [ranked_pm(config, root, loss, n, seed) for loss, n in runs]
