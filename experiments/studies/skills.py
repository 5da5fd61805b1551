"""Skills mixed into preference models and RL (Bai et al. 2022): 29 and 43.

Texts, language models and comparisons are the theme's own: the study's have no
skill. A task is the world's own requests (hh) or a skill, and has comparisons
of its own; what a model is trained on is a mixture of them, in which a pair has
the same label whatever else is there.
"""

import dataclasses

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of

OWN, SKILLS, ALL = 'hh', ('summaries', 'oneliners'), 'mixed'
TASKS = (OWN, *SKILLS)
TASKS_OF = {task: (task,) for task in TASKS} | {ALL: TASKS}
POLICIES = {OWN: 'tax', ALL: 'tax_mixed'}  # what RL asks -> role


def world_of(config, section, share=None, *families):
  """The world of a section with skills; those families of them, or all."""
  share = config['skills']['share'] if share is None else share
  world = config[section]['world'] | {'skill_share': share}
  return world | ({'skill_families': list(families)} if families else {})


def text_job(config, root):
  """Texts of which a share is about skills, and their tokenizer."""
  del root
  made = filled(config, 'text', {}, {'world': world_of(config, 'text')})
  return Job('skills/text', 'experiments.make_text', made)


def lm_job(config, root, size):
  """The language model of a size that has read them."""
  text = text_job(config, root)
  values = {'text_dir': f'{root}/{text.name}', 'size': size}
  changes = {'world': world_of(config, 'lm')}
  return dataclasses.replace(
    blocks.lm_job(config, root, size),
    name=f'skills/lm/{size}',
    config=filled(config, 'lm', values, changes),
    needs=(text,),
    program=f'skills_lm-{size}',
  )


def comparison_job(config, root, task):
  """Comparisons of replies to the requests of one task."""
  block = config['skills']
  top = block['sizes'][-1]
  lm = lm_job(config, root, top)
  values = {'text_dir': lm.config['text_dir'], 'lm_dir': f'{root}/{lm.name}'}
  own = task == OWN
  asked = (0.0,) if own else (1.0, task)
  world = world_of(config, 'comparisons', *asked)
  changes = {'world': world, 'lm_size': top}
  changes['pairs'] = block['own_comparisons' if own else 'skill_comparisons']
  return Job(
    name=f'skills/comparisons_{task}',
    module='experiments.make_comparisons',
    config=filled(config, 'comparisons', values, changes),
    needs=(*lm.needs, lm),
    weight=50,
  )


def mixture_job(config, root, seed, name):
  """The pairs of one task, or of all of them."""
  block, tasks = config['skills'], TASKS_OF[name]
  made = [comparison_job(config, root, task) for task in tasks]
  pairs = [block['own_pairs' if x == OWN else 'skill_pairs'] for x in tasks]
  values = {'role': f'skill_{name}', 'seed': seed, 'half': 'all'}
  values |= {'size': block['sizes'][-1]}
  values |= {
    'tranche_dirs': [f'{root}/{job.name}' for job in made],
    'tranche_numbers': [TASKS.index(x) for x in tasks],
    'train_counts': pairs,
    'test_counts': [n // 4 for n in pairs],
  }
  return Job(
    name=f'skills/data_{name}-s{seed}',
    module='experiments.mix_tranches',
    config=filled(config, 'skills_mix', values, {}),
    needs=tuple(made),
    weight=0.5,
  )


def on_mixture(job, config, root, seed, name, *more):
  """A job on a mixture of tasks and a language model that knows the skills."""
  data = mixture_job(config, root, seed, name)
  lm = lm_job(config, root, job.config['size'])
  changes = {
    'comparisons_dir': f'{root}/{data.name}',
    'base': f'{root}/{lm.name}',
  }
  return dataclasses.replace(
    job, config=job.config | changes, needs=(data, lm, *more)
  )


def pm_job(config, root, seed, size, name):
  """A preference model of a task, or of all tasks."""
  pairs = sum(mixture_job(config, root, seed, name).config['train_counts'])
  args = f'skill_{name}', size, seed, 'all'
  job = blocks.pm_job(config, root, *args, pairs=pairs)
  return on_mixture(job, config, root, seed, name)


def policy_job(config, root, seed, size, name):
  """PPO of a size on a task's prompts, or on all; the value network is new."""
  world = world_of(config, 'skills_rl')
  top = pm_job(config, root, seed, config['skills']['sizes'][-1], name)
  args = POLICIES[name], size, seed, 'all', (top, top, top), 'skills_rl'
  job = blocks.rl_job(config, root, *args, world=world)
  job = on_mixture(job, config, root, seed, name, top)
  zero = job.config | {'value_pm_dir': ''}
  return dataclasses.replace(job, config=zero)


def capability_job(config, root, seed, size):
  """All preference models and policies of a size, beside the start."""
  compared = TASKS_OF if size in config['skills']['compared'] else ()
  pms = {name: pm_job(config, root, seed, size, name) for name in compared}
  made = [comparison_job(config, root, task) for task in TASKS]
  writers = {'pi_0': lm_job(config, root, size)}
  if blocks.has_rl(config, seed):
    writers |= {x: policy_job(config, root, seed, size, x) for x in POLICIES}
  paths = lambda jobs: [f'{root}/{job.name}' for job in jobs]
  values = {'role': 'capability', 'seed': seed, 'half': 'all', 'size': size}
  values |= {'tranche_names': list(TASKS), 'tranche_dirs': paths(made)}
  values |= {'pm_names': list(pms), 'pm_dirs': paths(pms.values())}
  values |= {'writer_names': list(writers)}
  values |= {'writer_dirs': paths(writers.values())}
  world = {'world': world_of(config, 'capability')}
  needs = {job.name: job for job in (*made, *pms.values(), *writers.values())}
  return Job(
    name=f'skills/capability-{size}-s{seed}',
    module='experiments.evaluate_skills',
    config=filled(config, 'capability', values, world),
    needs=tuple(needs.values()),
    program=f'capability-{size}',
    weight=cost_of(size),
  )


def jobs(config, root, seed):
  """Every size of a seed."""
  return [
    capability_job(config, root, seed, size)
    for size in config['skills']['sizes']
  ]
