"""Best-of-n beside PPO and the forms of over-optimisation: claims 33 to 36."""

from experiments.studies import blocks, scored


def jobs(config, root, seed):
  """Linear runs and frontiers, PMs of few pairs, and long runs by PM size."""
  runs = blocks.linear_runs(config, root, seed)
  if not runs:
    return []
  block = config['best_of_n']
  own = {'prompts': block['prompts'], 'replies': block['replies']}
  writer = blocks.lm_job(config, root, block['size'])
  pms = _judges(config, root, seed)
  return [
    *runs,
    *scored.frontier_jobs(config, root, runs),
    *blocks.robust_runs(config, root, seed),
    *blocks.runs_by_pm_size(config, root, seed),
    scored.replies_job(config, root, 'best_of_n', writer, pms, seed, **own),
  ]


def _judges(config, root, seed):
  """PMs of every size, of all pairs and of few."""
  sizes = config['scaling']['sizes']
  few = [
    blocks.pm_job(config, root, f'few_{pairs}', size, seed, 'a', pairs=pairs)
    for pairs in config['best_of_n']['few_pairs']
    for size in sizes
  ]
  return [blocks.scaling_pm(config, root, x, seed) for x in sizes] + few
