"""The jobs that themes are made of: one maker a stage, config -> Job.

Each takes the study's config, a plain dict, and its absolute root. The section
of a stage in the config is complete but for what is None: a maker sets that,
and changes what a theme wants otherwise. What a job needs comes with it.
"""

import dataclasses

from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of


def _name(*parts):
  """'pm/rl-13K-mix'; a size that only the base knows is ''."""
  return '-'.join(part for part in parts if part)


def text_job(config, root):
  """Stage 1: the texts."""
  del root
  return Job('text', 'experiments.make_text', config['text'])


def lm_job(config, root, size):
  """Stage 2: the language model of a size."""
  text = text_job(config, root)
  values = {'text_dir': f'{root}/{text.name}', 'size': size}
  return Job(
    name=f'lm/{size}',
    module='experiments.train_lm',
    config=filled(config, 'lm', values, {}),
    needs=(text,),
    program=f'lm-{size}',
    weight=10 * cost_of(size),
  )


def comparison_job(config, root):
  """Stage 3: comparisons of two replies of a language model."""
  text = text_job(config, root)
  lm = lm_job(config, root, config['comparisons']['lm_size'])
  values = {'text_dir': f'{root}/{text.name}', 'lm_dir': f'{root}/{lm.name}'}
  return Job(
    name='comparisons',
    module='experiments.make_comparisons',
    config=filled(config, 'comparisons', values, {}),
    needs=(text, lm),
    weight=100,
  )


def _start(config, root, size, role, seed, half):
  """(values, changes, needs) of a stage that trains from a base on pairs.

  The study's own language model and comparisons are jobs; an imported base and
  released pairs are there.
  """
  values = {'feature_folder': f'{root}/features', 'role': role, 'size': size}
  values |= {'seed': seed, 'half': half}
  changes, needs = {}, []
  if 'comparisons' in config:
    needs.append(comparison_job(config, root))
    values['comparisons_dir'] = f'{root}/{needs[-1].name}'
  if not config['base']:
    needs.append(lm_job(config, root, size))
    changes['base'] = f'{root}/{needs[-1].name}'
  return values, changes, needs


def _multiple(config, section, size, half):
  """Multiple of the rung's learning rate (`_2_7M` stands for 2.7M)."""
  table, key = config['pm_lr_multiples'], '_' + size.replace('.', '_')
  if table and key not in table:
    raise ValueError(
      f'pm_lr_multiples has no entry {key} for the size {size}: add it'
    )
  ratio = config['decayed']['lr_ratio'] if half == 'all' else 1.0
  return config[section]['lr_multiple'] * table.get(key, 1.0) * ratio


def pm_job(
  config,
  root,
  role,
  size,
  seed,
  half,
  subset='',
  section='pm',
  told=None,
  **changes,
):
  """Stage 4: a preference model.

  Those of all pairs end at a rate that falls to zero.

  Args:
    config: of the study.
    root: of the study.
    role: what it is for (docs/tables.md).
    size: rung of the ladder; '': told by the base.
    seed: draws labels, halves and order.
    half: of the comparisons, 'a' or 'b'; 'all'.
    subset: of them: 'mix', 'helpful' or 'harmless'; '': the study's `subset`,
      which is 'mix' where it names none.
    section: of the config; a theme may have one of its own.
    told: keys that are None in that section, besides those of every one.
    **changes: settings of its own.
  """
  values, own, needs = _start(config, root, size, role, seed, half)
  subset = subset or config.get('subset', 'mix')
  decayed = config['decayed'] if half == 'all' else config[section]
  own |= {key: decayed[key] for key in ('schedule', 'schedule_shape')}
  own |= {'lr_multiple': _multiple(config, section, size, half)}
  values |= {'train_subset': subset} | (told or {})
  made = filled(config, section, values, own | changes)
  name = _name(role, size, subset, half, f's{seed}')
  return Job(
    name=f'pm/{name}',
    module='experiments.train_pm',
    config=made,
    needs=tuple(needs),
    program=_name('pm', size),
    weight=cost_of(size) * made['pairs'] / 15360,
  )


def scaling_pm(config, root, size, seed):
  """The preference model of a size on half a, with its learning curve."""
  block, last = config['scaling'], config['scaling']['sizes'][-1]
  changes = {'curve_points': block['curve_points']}
  if size == last:
    changes['final_eval_pairs'] = block['final_eval_pairs']
  return pm_job(config, root, 'scaling', size, seed, 'a', **changes)


def has_rl(config, seed):
  """Whether PPO runs on this seed."""
  return seed in config['seeds'][: config['rl_seeds']]


def rl_job(
  config,
  root,
  role,
  size,
  seed,
  half,
  pms,
  section='rl',
  told=None,
  **changes,
):
  """Stage 5: RL of a policy.

  Args:
    config: of the study.
    root: of the study.
    role: what it is for (docs/tables.md).
    size: rung of the policy; '': told by the base.
    seed: of its samples.
    half: that the train PM saw.
    pms: Jobs of the train PM, the test PM and where the value network starts;
      None: without one.
    section: of the config; a theme may have one of its own for its policies.
    told: keys that are None in that section, besides those of every one.
    **changes: settings of its own.
  """
  train, test, value = pms
  values, own, needs = _start(config, root, size, role, seed, half)
  values |= {
    'train_pm_dir': f'{root}/{train.name}',
    'test_pm_dir': f'{root}/{test.name}',
    'value_pm_dir': f'{root}/{value.name}' if value else '',
    'pm_size': train.config['size'],
  } | (told or {})
  pairs = config[section]['pm_pairs'] or train.config['pairs']
  if seed != config['seeds'][0]:
    own['shown'] = config[section]['shown'] | {'each': 0}
  made = filled(config, section, values, own | {'pm_pairs': pairs, **changes})
  jobs = {job.name: job for job in (*pms, *needs) if job}
  return Job(
    name=f'rl/{_name(role, size, half, f"s{seed}")}',
    module='experiments.train_ppo',
    config=made,
    needs=tuple(jobs.values()),
    program=_name('rl', size),
    weight=3 * cost_of(size) * made['iterations'] / 72,
  )


def shared_pms(config, root, size, seed):
  """Train PM, test PM and value PM, that of the policy's size, of linear runs.

  A value network starts as a model that trained what it trains: there is none
  where the PMs are heads and the policies adapters.
  """
  top = config['linear']['pm_size']
  test = pm_job(config, root, 'rl', top, seed, 'b')
  train, own = (scaling_pm(config, root, x, seed) for x in (top, size))
  alike = config['pm']['trained'] == config['rl']['trained']
  return train, test, own if alike else None


def linear_runs(config, root, seed):
  """PPO of every size against one train PM, where PPO runs on the seed."""
  block = config['linear']
  if not has_rl(config, seed):
    return []
  make = lambda size: rl_job(
    config,
    root,
    'linear',
    size,
    seed,
    'a',
    shared_pms(config, root, size, seed),
    pi0_samples=block.get('pi0_samples', config['rl']['pi0_samples']),
  )
  return [make(size) for size in block['sizes']]


def robust_runs(config, root, seed):
  """Long runs of one policy on PMs of few pairs, in both directions."""
  block = config['robustness']
  size, pairs = block['size'], block['pm_pairs']
  make = lambda role, size, half: pm_job(
    config, root, role, size, seed, half, pairs=pairs
  )
  judges = {half: make('robust', block['pm_size'], half) for half in 'ab'}
  alike = size == block['pm_size']  # then it is the model that rewards
  value = lambda half: judges[half] if alike else make('value', size, half)
  changes = {key: block[key] for key in ('iterations', 'lr_multiple')}
  return [
    rl_job(
      config,
      root,
      'robust',
      size,
      seed,
      half,
      (judges[half], judges[other], value(half)),
      **changes,
    )
    for half, other in ('ab', 'ba')
  ]


def runs_by_pm_size(config, root, seed):
  """Runs as of `robustness`, under a PM of each further size.

  Train and test PM are of one size and few pairs, in both directions; the
  value network starts where that of `robustness` does. Of the size of the
  policy they are the models that value networks start from.
  """
  block = config['robustness']
  size, pairs = block['size'], block['pm_pairs']
  make = lambda role, size, half: pm_job(
    config, root, role, size, seed, half, pairs=pairs
  )
  changes = {key: block[key] for key in ('iterations', 'lr_multiple')}
  judge = lambda pm, half: make('value' if pm == size else 'scan', pm, half)
  measured = dict(config['pm_sizes'])
  sizes = measured.pop('sizes')
  return [
    rl_job(
      config,
      root,
      f'under_{pm}',
      size,
      seed,
      half,
      (judge(pm, half), judge(pm, other), make('value', size, half)),
      **changes,
      **measured,
    )
    for pm in sizes
    for half, other in ('ab', 'ba')
  ]


def single_pms(config, root, seed):
  """A helpful-only and a harmless-only model of as many pairs."""
  block = config['tension']
  changes = {key: block[key] for key in ('pairs', 'final_eval_pairs')}
  return [
    pm_job(
      config, root, 'single', block['size'], seed, 'all', subset, **changes
    )
    for subset in ('helpful', 'harmless')
  ]


def mixed_pm(config, root, role, size, seed, subset, pairs):
  """A model of mixed pairs at a rate that falls to zero.

  Args:
    config: of the study.
    root: of the study.
    role: what it is for (docs/tables.md).
    size: rung of the ladder.
    seed: draws labels and order.
    subset: of `data.subsets.subset_of`, such as '30/70' or '67/33*4'.
    pairs: it is trained on.
  """
  job = pm_job(config, root, role, size, seed, 'all', subset, pairs=pairs)
  name = job.name.replace(subset, subset.replace('/', '_').replace('*', '_x'))
  return dataclasses.replace(job, name=name)
