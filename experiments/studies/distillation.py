"""Context distillation, and PPO from a distilled model: claims 49 to 51, 55."""

import dataclasses

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of
from experiments.studies.starts import needing, start_of


def pages_job(config, root):
  """Texts of several dialogues by one author, with headline's tokenizer."""
  text = blocks.text_job(config, root)
  made = filled(config, 'pages', {'text_dir': f'{root}/{text.name}'}, {})
  return Job('pages', 'experiments.make_pages', made, (text,))


def lm_job(config, root, size):
  """The language model of a size that has read pages."""
  block, pages = config['distillation'], pages_job(config, root)
  values = {'text_dir': f'{root}/{pages.name}', 'size': size}
  changes = {'steps': block['lm_steps'], 'batch_size': block['lm_batch']}
  job = blocks.lm_job(config, root, size)
  return dataclasses.replace(
    job,
    name=f'pages_lm/{size}',
    config=filled(config, 'lm', values, changes),
    needs=(pages,),
    program=f'pages_lm-{size}',
  )


def targets_job(config, root, seed):
  """Targets by the prompted teacher, the largest model."""
  size = config['distillation']['sizes'][-1]
  lm = lm_job(config, root, size)
  values = {'lm_dir': f'{root}/{lm.name}', 'lm_size': size, 'seed': seed}
  made = filled(config, 'targets', values, {})
  return Job(f'targets/s{seed}', 'experiments.make_targets', made, (lm,))


def distil_job(config, root, size, seed):
  """A student of a size."""
  lm, targets = lm_job(config, root, size), targets_job(config, root, seed)
  values = {'base': f'{root}/{lm.name}', 'size': size, 'seed': seed}
  values |= {'targets_dir': f'{root}/{targets.name}'}
  return Job(
    f'distil/{size}-s{seed}',
    'experiments.distil',
    filled(config, 'distil', values, {}),
    (lm, targets),
    program=f'distil-{size}',
    weight=cost_of(size),
  )


def prompted_job(config, root, seed):
  """Every model as it is, prompted and distilled."""
  sizes = config['distillation']['sizes']
  lms = [lm_job(config, root, size) for size in sizes]
  students = [distil_job(config, root, size, seed) for size in sizes]
  values = {'pages_dir': f'{root}/{pages_job(config, root).name}', 'seed': seed}
  values |= {'sizes': sizes, 'lm_dirs': [f'{root}/{job.name}' for job in lms]}
  values['distilled_dirs'] = [f'{root}/{job.name}' for job in students]
  return Job(
    f'prompted/s{seed}',
    'experiments.evaluate_prompted',
    filled(config, 'prompted', values, {}),
    (*lms, *students),
    program='prompted',
  )


def policy_run(config, root, seed):
  """PPO of one policy from where `pi0` says, under the PMs of headline."""
  size = config['distillation']['rl_size']
  starts = {
    'lm': lambda size: lm_job(config, root, size),
    'distilled': lambda size: distil_job(config, root, size, seed),
  }
  pi0, start = start_of(config, 'distillation', starts, size)
  pms = blocks.shared_pms(config, root, size, seed)
  args, base = (f'from_{pi0}', size, seed, 'a', pms), f'{root}/{start.name}'
  return needing(blocks.rl_job(config, root, *args, base=base), start)


def jobs(config, root, seed):
  """Students of every size, what all of them do, and a policy."""
  found = [prompted_job(config, root, seed)]
  if seed in config['seeds'][: config['distillation']['rl_seeds']]:
    found.append(policy_run(config, root, seed))
  return found
