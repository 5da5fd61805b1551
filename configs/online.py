"""Policies and preference models of online training beside each other.

    python -m experiments.compare_policies --config=configs/online.py \
        --workdir=DIR

What: base pairs alone against equal thirds of base, rejection-sampled and
online ones: who is preferred by the crowd, on which tranche each preference
model is right, and how the policies themselves rank its pairs. The preset is
the study's first seed; the study compares the policies of all rounds.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('policies', preset)
  seed, size, rounds = study.seeds[0], study.online.size, study.online.rounds
  run = lambda kind, role: f'{root}/{kind}/{role}-{size}-all-s{seed}'
  config.role, config.seed, config.half, config.size = (
    *('online', seed, 'all'),
    size,
  )
  config.comparisons_dir = f'{root}/online/data_online0-s{seed}'
  config.subset = 'helpful'
  config.writer_names = ('pi_0', 'base_only', 'thirds')
  config.writer_dirs = (
    f'{root}/lm/{size}',
    run('rl', 'online0'),
    run('rl', 'online_thirds'),
  )
  config.pm_names = ('base_only', 'thirds')
  config.pm_dirs = tuple(
    f'{root}/pm/{role}-{size}-helpful-all-s{seed}'
    for role in ('online0', 'online_thirds')
  )
  config.tranche_names = ('base', 'rs', *['online'] * rounds)
  config.tranche_dirs = (
    blocks.base_tranche(study, root),
    *(f'{root}/online/rs-s{seed}',),
    *(f'{root}/online/round{i}-s{seed}' for i in range(1, rounds + 1)),
  )
  config.test_pairs = rounds * study.online.round_test_pairs
  return config
