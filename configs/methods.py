"""Imitation, binary discrimination and ranking at one size of the ladder.

    python -m experiments.compare_methods --config=configs/methods.py \
        --workdir=DIR

What: the first seed of the largest size at the rates that the run `tuned_dir`
has chosen; with --config.tuned_dir= --config.role=tuned --config.seed=0 that
run (configs/chapters/imitation.py). The preset is the study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('methods', preset)
  config.role, config.half, config.seed = 'compared', 'all', study.seeds[0]
  config.size = study.imitation.sizes[-1]
  config.base = f'{root}/lm/' + config.get_ref('size')
  config.tasks_dir = f'{root}/tasks'
  first = config.tuning_seeds[0]
  config.tuned_dir = f'{root}/methods/tuned-{config.size}-s{first}'
  return config
