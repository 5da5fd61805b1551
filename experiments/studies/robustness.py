"""Train PM against test PM, and over-optimisation: claims 19 to 24."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """Long runs of one policy on PMs of few pairs, in both directions."""
  if not blocks.has_rl(config, seed):
    return []
  block = config['robustness']
  size, pairs = block['size'], block['pm_pairs']
  make = lambda role, size, half: blocks.pm_job(
    config, root, role, size, seed, half, pairs=pairs
  )
  judges = {half: make('robust', block['pm_size'], half) for half in 'ab'}
  changes = {key: block[key] for key in ('iterations', 'lr_multiple')}
  return [
    blocks.rl_job(
      config,
      root,
      'robust',
      size,
      seed,
      half,
      (judges[half], judges[other], make('value', size, half)),
      **changes,
    )
    for half, other in ('ab', 'ba')
  ]
