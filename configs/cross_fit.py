"""Linear preference models over a frozen base, cross-fitted over all pairs.

    python -m experiments.cross_fit --config=configs/cross_fit.py \
        --config.data.path=FOLDER --workdir=DIR

What: SmolLM2-135M-Instruct reads every pair of the two *_base_test files of HH
once; heads on its pooled features are fitted on four fifths of the
conversations and score the last fifth, for several draws of the fifths. The
preset is the study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='smollm2'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('cross_fit', preset)
  config.role, config.half, config.size = 'cross', 'all', ''
  config.seed = study.seeds[0]
  config.feature_folder = f'{root}/features'
  return config
