"""What PPO does: reward, entropy, an inert KL penalty: claims 11, 12, 27."""

from experiments.studies import blocks


def jobs(config, root, seed):
  """Policies of every size, and the small one without a KL penalty."""
  runs = blocks.linear_runs(config, root, seed)
  if not runs:
    return []
  small = config['rl']['small']
  pms = blocks.shared_pms(config, root, small, seed)
  inert = blocks.rl_job(
    config, root, 'inert', small, seed, 'a', pms, kl_coef=0.0
  )
  return [*runs, inert]
