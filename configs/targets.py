"""Targets of distillation: a prompted teacher on texts.

    python -m experiments.make_targets --config=configs/targets.py --workdir=DIR

What: the largest language model that has read pages, with the HHH prompt of the
world before each text; half of the texts generic, half questions with good
answers.
Presets: full and full_smoke, the studies that have this stage.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('targets', preset)
  config.lm_size, config.seed = study.distillation.sizes[-1], study.seeds[0]
  config.lm_dir = f'{root}/pages_lm/' + config.get_ref('lm_size')
  return config
