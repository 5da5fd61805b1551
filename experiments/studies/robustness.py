"""Train PM against test PM, and over-optimisation: claims 19 to 24."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """Long runs of the small policy on PMs of few pairs, in both directions."""
  if not blocks.has_rl(config, seed):
    return []
  pm, rl = config['pm'], config['rl']
  make = lambda role, size: {
    half: blocks.pm_job(
      config, root, role, size, seed, half, pm['robust_pairs']
    )
    for half in 'ab'
  }
  judges, values = make('robust', pm['robust_size']), make('value', rl['small'])
  return [
    blocks.rl_job(
      config,
      root,
      'robust',
      rl['small'],
      seed,
      half,
      (judges[half], judges[other], values[half]),
      iterations=rl['robust_iterations'],
      lr_multiple=rl['robust_lr_multiple'],
    )
    for half, other in ('ab', 'ba')
  ]
