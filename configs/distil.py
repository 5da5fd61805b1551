"""Context distillation of one student, the largest of the study.

    python -m experiments.distil --config=configs/distil.py --workdir=DIR

What: divergence from the teacher's stored distributions over 50 ids and one
bucket, 0.05 times the rate of pretraining, falling to 0, 32 texts a step.
Presets: full and full_smoke, the studies that have this stage.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('distil', preset)
  config.size, config.seed = study.distillation.sizes[-1], study.seeds[0]
  config.base = f'{root}/pages_lm/' + config.get_ref('size')
  config.targets_dir = f'{root}/targets/s{config.seed}'
  return config
