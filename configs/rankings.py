"""Rankings of 4 to 9 replies to each prompt, and demonstrations.

    python -m experiments.make_rankings --config=configs/rankings.py \
        --workdir=DIR

What: replies of the study's language model, ranked with ties by simulated
workers (docs/kwise.md). The preset is the study's, of its first seed.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('rankings', preset)
  config.text_dir, config.seed = f'{root}/text', study.seeds[0]
  config.lm_size = study.comparisons.lm_size
  config.lm_dir = f'{root}/lm/' + config.get_ref('lm_size')
  return config
