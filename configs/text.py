"""Stage 1: the texts of the language models, and their tokenizer.

    python -m experiments.make_text --config=configs/text.py --workdir=DIR

What: dialogues by simulated authors of mixed quality and plain text of their
world, cut into rows of max_prompt + max_reply tokens. For the real pairs set
--config.data.source=hh and --config.data.path to their folder, for one's own
--config.data.source=pairs (docs/own-pairs.md). Presets: the study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='micro'):
  """Config of a preset of the study."""
  _, config, _ = blocks.stage('text', preset)
  return config
