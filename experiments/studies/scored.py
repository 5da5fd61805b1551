"""The jobs that follow a policy: its frontier, and replies of it, scored."""

from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of


def frontier_jobs(config, root, runs):
  """What pi_0 allows under the train PM of each RL run, where it is asked for.

  Args:
    config: of the study; without a section `frontier` there are none.
    root: of the study.
    runs: of `rl_job`.
  """
  if 'frontier' not in config:
    return []
  return [
    Job(
      name=run.name.replace('rl/', 'frontier/'),
      module='experiments.frontier',
      config=filled(config, 'frontier', {'run_dir': f'{root}/{run.name}'}, {}),
      needs=(run,),
      program=run.program,
      weight=cost_of(config['linear']['pm_size']),
    )
    for run in runs
  ]


def replies_job(config, root, role, policy, pms, seed, **changes):
  """Replies of a policy, scored by preference models and by gold.

  Args:
    config: of the study.
    root: of the study.
    role: of the rows.
    policy: Job of a language model or of PPO.
    pms: Jobs of preference models.
    seed: of the rows.
    **changes: settings of its own.
  """
  values = {'policy_dir': f'{root}/{policy.name}', 'role': role, 'seed': seed}
  values['pm_dirs'] = tuple(f'{root}/{pm.name}' for pm in pms)
  name = policy.name.split('/')[-1].removesuffix(f'-s{seed}')
  judges = sum(cost_of(pm.config['size']) for pm in pms)
  return Job(
    name=f'replies/{role}-{name}-s{seed}',
    module='experiments.score_replies',
    config=filled(config, 'replies', values, changes),
    needs=(policy, *pms),
    program=policy.program,
    weight=judges,
  )
