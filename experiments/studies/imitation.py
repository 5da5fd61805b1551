"""Imitation, binary discrimination and ranking, over the ladder: claim 52."""

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of


def tasks_job(config, root):
  """Pairs of the tasks, one draw for all seeds."""
  text = blocks.text_job(config, root)
  values = {'text_dir': f'{root}/{text.name}'}
  made = filled(config, 'tasks', values, {})
  return Job('tasks', 'experiments.make_tasks', made, needs=(text,), weight=50)


def methods_job(config, root, size, role, seed, tuned=None):
  """All methods on all tasks at one size.

  Args:
    config: of the study.
    root: of the study.
    size: rung of the ladder.
    role: 'tuned' or 'compared'.
    seed: of the pairs, heads and orders.
    tuned: Job that chose the rates; None: this one does.
  """
  tasks = tasks_job(config, root)
  lm = blocks.lm_job(config, root, size)
  values = {'role': role, 'half': 'all', 'size': size, 'seed': seed}
  values |= {'tasks_dir': f'{root}/{tasks.name}'}
  values |= {'tuned_dir': f'{root}/{tuned.name}' if tuned else ''}
  made = filled(config, 'methods', values, {'base': f'{root}/{lm.name}'})
  return Job(
    name=f'methods/{role}-{size}-s{seed}',
    module='experiments.compare_methods',
    config=made,
    needs=(tasks, lm, *([tuned] if tuned else [])),
    program=f'methods-{size}',
    weight=2 * cost_of(size),
  )


def jobs(config, root, seed):
  """Every size: the grid once, on a development seed, then the seed."""
  block, found = config['imitation'], []
  if seed not in config['seeds'][: block['seeds']]:
    return found
  for size in block['sizes']:
    first = config['methods']['tuning_seeds'][0]
    tuned = methods_job(config, root, size, 'tuned', first)
    found.append(methods_job(config, root, size, 'compared', seed, tuned))
  return found
