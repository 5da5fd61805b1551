"""Games between snapshots of PPO runs: claims 10 and 25.

The policies are those of the linear runs of a size, run once more so that some
iterations are kept: seeds, PMs and rates are the same, and so are the weights.
"""

from experiments.studies import blocks
from experiments.studies.job import Job, filled
from experiments.studies.rungs import cost_of


def jobs(config, root, seed):
  """Games of every size, of the snapshots that a run of its own keeps."""
  if not blocks.has_rl(config, seed):
    return []
  return [
    games_job(config, root, size, seed) for size in config['samples']['sizes']
  ]


def games_job(config, root, size, seed) -> Job:
  """pi_0, the snapshots of a run and its last policy against each other."""
  lm = blocks.lm_job(config, root, size)
  pms = blocks.shared_pms(config, root, size, seed)
  args = (config, root, 'samples', size, seed, 'a', pms, 'samples_rl')
  policy = blocks.rl_job(*args)
  folder, marks = f'{root}/{policy.name}', policy.config['snapshots']
  players = {'pi_0': f'{root}/{lm.name}'}
  players |= {f'@{i}': f'{folder}/snapshots/{i}' for i in marks}
  players[f'@{policy.config["iterations"]}'] = folder
  comparisons = blocks.comparison_job(config, root)
  train, test, _ = pms
  values = {
    'role': 'games',
    'seed': seed,
    'half': 'a',
    'size': size,
    'comparisons_dir': f'{root}/{comparisons.name}',
    'train_pm_dir': f'{root}/{train.name}',
    'test_pm_dir': f'{root}/{test.name}',
    'writer_names': list(players),
    'writer_dirs': list(players.values()),
  }
  return Job(
    name=f'games/{size}-s{seed}',
    module='experiments.play_games',
    config=filled(config, 'games', values, {}),
    needs=(lm, comparisons, train, test, policy),
    program=f'games-{size}',
    weight=cost_of(size),
  )
