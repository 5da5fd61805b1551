"""So many comparisons of each of several tranches.

    python -m experiments.mix_tranches --config=configs/mix.py --workdir=DIR

What: the base pairs alone, of which round 0 of the study's first seed is
trained. Equal thirds, as in Bai et al. 2022, section 4.5, are three
tranche_dirs with a third of the counts each.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('mix', preset)
  block = study.online
  config.role, config.seed, config.half, config.size = (
    *('online0', study.seeds[0], 'all'),
    block.size,
  )
  config.subset = 'helpful'
  config.tranche_dirs = (blocks.base_tranche(study, root),)
  config.tranche_numbers = (0,)
  config.train_counts = (3 * block.rounds * block.round_pairs,)
  config.test_counts = (block.rounds * block.round_test_pairs,)
  return config
