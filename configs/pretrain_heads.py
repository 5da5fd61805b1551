"""Linear heads on real pairs, with and without pretraining of the head.

    python -m experiments.pretrain_heads --config=configs/pretrain_heads.py \
        --config.data.path=FOLDER --workdir=DIR

What: SmolLM2-135M-Instruct reads the pairs of the two *_base_test files of HH
and public rankings (Stack Exchange, Reddit) once; heads of 100 to 1,000 pairs
start from heads of the rankings, or from nothing (Askell et al. 2021, section
4, with a frozen model). The preset is the study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='smollm2_recipes'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('pretrain_heads', preset)
  config.role, config.half, config.size = 'pretrained', 'all', ''
  config.seed = study.seeds[0]
  config.feature_folder = f'{root}/features'
  return config
