"""Long runs under ensembles of preference models, beside a single one."""

import dataclasses

from experiments.studies import blocks


def jobs(config, root, seed):
  """A run for each way to combine the members; the single PM's run."""
  if not blocks.has_rl(config, seed):
    return []
  single, _ = blocks.robust_runs(config, root, seed)
  block, robust = config['ensembles'], config['robustness']
  members = [
    blocks.pm_job(
      config,
      root,
      f'member_{i}',
      robust['pm_size'],
      seed,
      'a',
      section='ensembles_pm',
      told={'member': i, 'pairs': robust['pm_pairs']},
    )
    for i in range(1, block['members'])
  ]
  make = lambda way: _run(config, root, way, single, members, seed)
  return [single, *map(make, block['ways'])]


def _run(config, root, way, single, members, seed):
  """The run under all members, combined in one way."""
  robust = config['robustness']
  by_path = {f'{root}/{job.name}': job for job in single.needs}
  pms = [
    by_path[single.config[f'{name}_pm_dir']]
    for name in ('train', 'test', 'value')
  ]
  told = {
    'ensemble': way,
    'ensemble_coef': config['ensembles']['ensemble_coef'],
  }
  told['ensemble_dirs'] = tuple(f'{root}/{pm.name}' for pm in members)
  told |= {key: robust[key] for key in ('iterations', 'lr_multiple')}
  run = blocks.rl_job(
    config,
    root,
    f'ensemble_{way}',
    robust['size'],
    seed,
    'a',
    pms,
    section='ensembles_rl',
    told=told,
  )
  return dataclasses.replace(run, needs=(*run.needs, *members))
