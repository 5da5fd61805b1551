"""PPO, RLOO, GRPO and DPO on one axis, with best-of-n and the frontier."""

import dataclasses

from experiments.studies import blocks, scored
from experiments.studies.job import filled
from experiments.studies.rungs import cost_of

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
    _dpo(config, pms[0], policies[-1]),
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


def _dpo(config, train, like):
  """DPO on the pairs of the train PM.

  Args:
    config: of the study.
    train: Job of the train PM.
    like: Job of RL without a value network, whose pi_0, PMs and labels it has.
  """
  keys = ('comparisons_dir', 'feature_folder', 'size', 'seed', 'half')
  keys += ('train_pm_dir', 'test_pm_dir', 'pm_size')
  values = {key: like.config[key] for key in keys} | {'role': 'by_dpo'}
  values |= {key: train.config[key] for key in ('train_subset', 'pairs')}
  values |= {'pm_pairs': train.config['pairs'], **config['baselines']['dpo']}
  changes = {'base': like.config['base']}
  if like.config['seed'] != config['seeds'][0]:
    changes['shown'] = config['dpo']['shown'] | {'each': 0}
  made = filled(config, 'dpo', values, changes)
  seen = made['iterations'] * made['batch_size']
  return dataclasses.replace(
    like,
    name=like.name.replace('by_grpo', 'by_dpo'),
    module='experiments.train_dpo',
    config=made,
    program=like.program.replace('rl', 'dpo'),
    weight=cost_of(made['size']) * seen / 15360,
  )
