"""A further tranche of comparisons, of policies that are deployed.

    python -m experiments.make_tranche --config=configs/tranche.py --workdir=DIR

What: the rejection-sampled tranche of the study's first seed: the best of 16
replies of the language model, by the preference model of base pairs, judged by
simulated workers. An online tranche is best_of=1 and other writer_dirs: runs of
train_ppo, or their snapshots/ITERATION. labels='judge' asks the preference
model in judge_dir instead; labels='people' reads what people append to the
files in `queue`, and goes on where the tranche in before_dir stopped.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('tranche', preset)
  seed, size = study.seeds[0], study.online.size
  config.role, config.seed, config.half, config.size = (
    *('tranche', seed, 'all'),
    size,
  )
  config.comparisons_dir = blocks.base_tranche(study, root)
  config.source = 'helpful-rejection-sampled'
  config.writer_dirs = (f'{root}/lm/{size}',)
  config.ranker_dir = f'{root}/pm/online0-{size}-helpful-all-s{seed}'
  config.before_dir = ''
  for key in ('best_of', 'labels', 'judge_dir', 'queue'):
    config[key] = study.online[key]
  config.pairs = study.online.rounds * study.online.round_pairs
  config.test_pairs = study.online.rounds * study.online.round_test_pairs
  return config
