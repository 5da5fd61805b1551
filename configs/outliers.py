"""Red-team prompts as outliers, by the features of one model.

    python -m experiments.detect_outliers --config=configs/outliers.py:smollm2 \
        --config.data.path=FOLDER --workdir=DIR

What: distances to a Gaussian of helpful prompts at every layer, and classifiers
that were shown a few red-team prompts. `base` may be any model of
`experiments/shared/models.py`: a run of a language model, a policy or a
preference model, a folder, or smollm2. Presets: the studies that have this
stage; of `full` the largest size of the first seed.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('outliers', preset)
  config.feature_folder, config.seed = f'{root}/features', study.seeds[0]
  config.role, config.base, config.size = 'ood_base', study.base, ''
  if not study.base:
    config.role, config.size = 'ood', study.ood.sizes[-1]
    seed = f'-s{config.seed}'
    config.base = f'{root}/ood_lm/' + config.get_ref('size') + seed
  return config
