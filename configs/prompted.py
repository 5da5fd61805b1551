"""Models of all sizes as they are, prompted, and distilled.

    python -m experiments.evaluate_prompted --config=configs/prompted.py \
        --workdir=DIR

What: gold of their replies, games of every two of one reading, choices between
a good and a bad reply, loss on held-out pages.
Presets: full and full_smoke, the studies that have this stage.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('prompted', preset)
  config.seed, config.sizes = study.seeds[0], study.distillation.sizes
  config.pages_dir = f'{root}/pages'
  config.lm_dirs = tuple(f'{root}/pages_lm/{size}' for size in config.sizes)
  students = f'{root}/distil/{{}}-s{config.seed}'
  config.distilled_dirs = tuple(map(students.format, config.sizes))
  return config
