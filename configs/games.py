"""Games between snapshots of a PPO run, judged by gold.

    python -m experiments.play_games --config=configs/games.py --workdir=DIR

What: pi_0, snapshots and the last policy of the smallest run of the study's
first seed answer the same held-out prompts, and simulated users talk to every
two of them; Elo is fitted to who is preferred. Any language model or policy of
one tokenizer plays: writer_names and writer_dirs, pi_0 first, '@N' after N
iterations.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('games', preset)
  seed, size, top = study.seeds[0], study.samples.sizes[0], study.linear.pm_size
  config.role, config.seed, config.half, config.size = 'games', seed, 'a', size
  config.comparisons_dir = f'{root}/comparisons'
  blocks.watch(config, root, top)
  run, rl = f'{root}/rl/samples-{size}-a-s{seed}', study.samples_rl
  config.writer_names = (
    'pi_0',
    *(f'@{i}' for i in (*rl.snapshots, rl.iterations)),
  )
  config.writer_dirs = (
    f'{root}/lm/{size}',
    *(f'{run}/snapshots/{i}' for i in rl.snapshots),
    run,
  )
  return config
