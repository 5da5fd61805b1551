"""PPO, RLOO, GRPO and DPO on one axis, with best-of-n and the frontier."""

from experiments.studies import blocks, scored
from experiments.studies.direct import dpo_job

ALGORITHMS = ('ppo', 'rloo', 'grpo')


def jobs(config, root, seed):
  """A policy of each algorithm; the linear run of its size and its frontier."""
  block = config['baselines']
  size = block['size']
  linear = [
    run
    for run in blocks.linear_runs(config, root, seed)
    if run.config['size'] == size
  ]
  if not linear:
    return []
  pms = blocks.shared_pms(config, root, size, seed)
  policies = [_policy(config, root, name, pms, seed) for name in ALGORITHMS]
  return [
    *linear,
    *scored.frontier_jobs(config, root, linear),
    *policies,
    dpo_job(config, 'by_dpo', pms[0], policies[-1], **block['dpo']),
  ]


def _policy(config, root, name, pms, seed):
  """The policy of an algorithm; only PPO has a value network."""
  own = dict(config['baselines'][name])
  train, test, value = pms
  return blocks.rl_job(
    config,
    root,
    f'by_{name}',
    config['baselines']['size'],
    seed,
    'a',
    (train, test, value if name == 'ppo' else None),
    section='baselines_rl',
    told={'algorithm': name, 'lr_multiple': own.pop('lr_multiple')},
    **own,
  )
