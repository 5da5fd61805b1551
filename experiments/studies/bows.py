"""Policies under PMs of other pairs, and what pi_0 allows them: claim 66.

The frontiers of two PMs, or of two kinds of prompts, bend differently; whether
PPO bends as they do is asked over as many of them as a study has at hand.
"""

from experiments.studies import blocks, scored


def jobs(config, root, seed):
  """Short runs under each single-objective PM, and frontiers.

  They are those of the short runs and of one robustness run.
  """
  if not blocks.has_rl(config, seed):
    return []
  block, top = config['bows'], config['linear']['pm_size']
  test = blocks.pm_job(config, root, 'rl', top, seed, 'b')
  value = blocks.scaling_pm(config, root, block['size'], seed)
  short = [
    blocks.rl_job(
      config,
      root,
      f'{pm.config["train_subset"]}_pm',
      block['size'],
      seed,
      'a',
      (pm, test, value),
      iterations=block['iterations'],
    )
    for pm in blocks.single_pms(config, root, seed)
  ]
  robust = blocks.robust_runs(config, root, seed)[:1]
  return [*short, *scored.frontier_jobs(config, root, [*short, *robust])]
