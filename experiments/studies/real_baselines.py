"""RLOO, GRPO and DPO of a real model beside PPO and its frontier."""

from experiments.studies import blocks, scored
from experiments.studies.direct import dpo_job

ALGORITHMS = ('rloo', 'grpo')


def jobs(config, root, seed):
  """PPO with its frontier, and a policy of each other way, of a seed."""
  own = config['real_baselines']
  if seed not in config['seeds'][: own['rl_seeds']]:
    return []
  linear = blocks.linear_runs(config, root, seed)
  if not linear:
    return []
  size = config['linear']['sizes'][0]
  train, test, _ = blocks.shared_pms(config, root, size, seed)
  policies = [
    blocks.rl_job(
      config,
      root,
      f'real_{name}',
      size,
      seed,
      'a',
      (train, test, None),
      section='baselines_rl',
      told={'algorithm': name},
      **own.get(name, {}),
    )
    for name in ALGORITHMS
  ]
  return [
    *linear,
    *scored.frontier_jobs(config, root, linear),
    *policies,
    dpo_job(config, 'real_dpo', train, policies[-1], **own['dpo']),
  ]
