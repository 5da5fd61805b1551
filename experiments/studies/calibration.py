"""Calibration of helpful-only and mixture preference models: claims 4 to 7."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """A helpful-only model and, if wanted, one of both kinds, on all pairs."""
  block = config['calibration']
  models = [('calibration', 'helpful', block['final_eval_pairs'])]
  if block['mixture_eval_pairs']:
    models.append(('mixture', 'mix', block['mixture_eval_pairs']))
  return [
    blocks.pm_job(
      config,
      root,
      role,
      block['size'],
      seed,
      'all',
      subset,
      pairs=block['pairs'],
      final_eval_pairs=count,
    )
    for role, subset, count in models
  ]
