"""What PPO does: reward, entropy, an inert KL penalty: claims 11, 12, 27."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """Policies of every size, and some without a KL penalty."""
  runs = blocks.linear_runs(config, root, seed)
  if not runs:
    return []
  inert = [
    blocks.rl_job(
      config,
      root,
      'inert',
      size,
      seed,
      'a',
      blocks.shared_pms(config, root, size, seed),
      kl_coef=0.0,
    )
    for size in config['ppo']['inert_sizes']
  ]
  return [*runs, *inert]
