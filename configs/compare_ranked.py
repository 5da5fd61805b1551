"""Imitation, ranking and binary discrimination on real ranked sets.

    python -m experiments.compare_ranked --config=configs/compare_ranked.py \
        --config.data.path=FOLDER --workdir=DIR

What: SmolLM2-135M-Instruct reads Stack Exchange, AlpacaEval and Open-Assistant
once; replies are ranked by its log-likelihood and by linear heads on its
features (Askell et al. 2021, section 3). The preset is the study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='smollm2_recipes'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('compare_ranked', preset)
  config.role, config.half, config.size = 'real_sets', 'all', ''
  config.seed = study.seeds[0]
  config.feature_folder = f'{root}/features'
  return config
