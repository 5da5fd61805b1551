"""Stage 2: one language model, the largest of the study.

    python -m experiments.train_lm --config=configs/lm.py --workdir=DIR

What: next-token loss on every token of the texts of stage 1, Adam, cosine decay
to zero. learning_rate 0 takes the rate of the rung. With `pack` the texts of a
batch share fewer rows, which leaves its gradient as it is. A `mesh` of more
than one device cuts rows and parameters over all devices of the process.
Presets: the study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='micro'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('lm', preset)
  config.text_dir, config.size = f'{root}/text', study.scaling.sizes[-1]
  return config
