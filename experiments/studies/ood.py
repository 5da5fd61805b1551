"""Detection of red-team prompts as outliers: claims 44 to 48.

A seed has language models of its own, of every size, on the study's texts: what
is said of sizes is said of several models of each. An imported base is there
once.
"""

import dataclasses

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of


def lm_job(config, root, size, seed):
  """The language model of a size and a seed."""
  job = blocks.lm_job(config, root, size)
  (text,) = job.needs
  values = {'text_dir': f'{root}/{text.name}', 'size': size}
  changes = {'seed': seed, 'steps': config['ood']['lm_steps']}
  made = filled(config, 'lm', values, changes)
  return dataclasses.replace(job, name=f'ood_lm/{size}-s{seed}', config=made)


def detect_job(config, root, base, size, seed, needs=()):
  """Both kinds of prompts, as a model reads them.

  Args:
    config: of the study.
    root: of the study.
    base: the model, as `models.open_base` names it.
    size: rung of the ladder; '': told by the base.
    seed: draws prompts, splits and what is shown.
    needs: Jobs that make the model.
  """
  role = 'ood' if needs else 'ood_base'
  values = {'feature_folder': f'{root}/features', 'role': role, 'size': size}
  values |= {'base': base, 'seed': seed}
  return Job(
    f'ood/{size}-s{seed}' if size else f'ood/s{seed}',
    'experiments.detect_outliers',
    filled(config, 'outliers', values, {}),
    tuple(needs),
    program=f'outliers-{size}',
    weight=cost_of(size),
  )


def jobs(config, root, seed):
  """The detection by every size, or by the imported base."""
  if config['base']:
    return [detect_job(config, root, config['base'], '', seed)]
  found = []
  for size in config['ood']['sizes']:
    lm = lm_job(config, root, size, seed)
    base = f'{root}/{lm.name}'
    found.append(detect_job(config, root, base, size, seed, [lm]))
  return found
