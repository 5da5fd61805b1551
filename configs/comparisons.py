"""Stage 3: comparisons of two replies of the largest language model.

    python -m experiments.make_comparisons --config=configs/comparisons.py \
        --workdir=DIR

What: pairs of replies at temperature 1, judged by simulated workers, in the
format of the HH release. coin_flip_labels makes every judgement a coin flip,
for the null study. Presets: the study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='micro'):
  """Config of a preset of the study."""
  _, config, root = blocks.stage('comparisons', preset)
  config.text_dir = f'{root}/text'
  config.lm_dir = f'{root}/lm/' + config.get_ref('lm_size')
  return config
