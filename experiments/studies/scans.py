"""Sizes of train and test PM, and passes of PPO: claims 21 to 23 and 26."""

from experiments.studies import blocks, scored


def jobs(config, root, seed):
  """Scans A and B of policies, long runs by PM size, runs by passes."""
  linear = blocks.linear_runs(config, root, seed)
  if not linear:
    return []
  own = [
    _own(config, root, size, seed) for size in config['scans']['own_sizes']
  ]
  tests = [
    blocks.pm_job(config, root, 'rl', size, seed, 'b')
    for size in config['scaling']['sizes']
  ]
  judged = [
    scored.replies_job(config, root, f'judged_{kind}', run, tests, seed)
    for kind, runs in (('shared', linear), ('own', own))
    for run in runs
  ]
  return [
    *judged,
    *blocks.robust_runs(config, root, seed),
    *blocks.runs_by_pm_size(config, root, seed),
    *(_passes(config, root, k, seed) for k in config['scans']['passes']),
  ]


def _test_pm(config, root, size, seed):
  """The test PM of a size; the largest is that of the linear runs."""
  role = 'rl' if size == config['linear']['pm_size'] else 'test'
  return blocks.pm_job(config, root, role, size, seed, 'b')


def _own(config, root, size, seed):
  """A policy under PMs of its own size: scan B."""
  train = blocks.scaling_pm(config, root, size, seed)
  test = _test_pm(config, root, size, seed)
  return blocks.rl_job(
    config, root, 'own', size, seed, 'a', (train, test, train)
  )


def _passes(config, root, passes, seed):
  """The smallest linear run with another number of passes."""
  size = config['linear']['sizes'][0]
  pms = blocks.shared_pms(config, root, size, seed)
  return blocks.rl_job(
    config, root, f'passes_{passes}', size, seed, 'a', pms, passes=passes
  )
