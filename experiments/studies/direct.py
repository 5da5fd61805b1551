"""The job of DPO, beside the train PM whose pairs it sees."""

import dataclasses

from experiments.studies.job import filled
from experiments.studies.rungs import cost_of

SAME = ('feature_folder', 'size', 'seed', 'half', 'train_pm_dir')
SAME += ('test_pm_dir', 'pm_size')


def dpo_job(config, role, train, like, **own):
  """DPO on the pairs of the train PM, watched as a policy of RL is.

  Args:
    config: of the study.
    role: of the run.
    train: Job of the train PM.
    like: Job of RL without a value network, whose pi_0, PMs and labels it has.
    **own: keys that are None in the section `dpo`, besides those of every run.
  """
  made_here = ('comparisons_dir',) if 'comparisons' in config else ()
  values = {key: like.config[key] for key in (*SAME, *made_here)}
  values |= {'role': role, 'pm_pairs': train.config['pairs']}
  values |= {key: train.config[key] for key in ('train_subset', 'pairs')} | own
  changes = {'base': like.config['base']}
  if like.config['seed'] != config['seeds'][0]:
    changes['shown'] = config['dpo']['shown'] | {'each': 0}
  made = filled(config, 'dpo', values, changes)
  seen = made['iterations'] * made['batch_size']
  return dataclasses.replace(
    like,
    name=like.name.replace(like.config['role'], role),
    module='experiments.train_dpo',
    config=made,
    program=like.program.replace('rl', 'dpo'),
    weight=cost_of(made['size']) * seen / 15360,
  )
