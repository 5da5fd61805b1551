"""Accuracy against size and data at once: claim 3."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """Learning curves of every size, on helpful pairs and on the mixture.

  Those of the mixture are of the theme `scaling`.
  """
  sizes, block = config['scaling']['sizes'], config['joint']
  if seed not in config['seeds'][: block['seeds']]:
    return []
  own = {key: block[key] for key in ('pairs', 'curve_points')}
  args = config, root, 'joint'
  return [
    *(blocks.scaling_pm(config, root, size, seed) for size in sizes),
    *(
      blocks.pm_job(*args, size, seed, 'a', 'helpful', **own) for size in sizes
    ),
  ]
