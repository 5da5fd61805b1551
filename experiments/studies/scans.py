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
    _test_pm(config, root, size, seed) for size in config['scaling']['sizes']
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
  args = config, root, 'own', size, seed, 'a', (train, test, train)
  return blocks.rl_job(*args, **_measured(config))


def _passes(config, root, passes, seed):
  """The smallest linear run with another number of passes."""
  size = config['linear']['sizes'][0]
  pms = blocks.shared_pms(config, root, size, seed)
  args = config, root, f'passes_{passes}', size, seed, 'a', pms
  return blocks.rl_job(*args, passes=passes, **_measured(config))


def _measured(config):
  """How these runs are measured: by their ends, on prompts of those of rl."""
  keys = ('eval_prompts', 'dense_every', 'pi0_samples')
  return {key: config['scans'][key] for key in keys}
