"""Pages: texts of several dialogues by one author.

    python -m experiments.make_pages --config=configs/pages.py --workdir=DIR

What: the author of a page keeps one quality, one way with harmful
requests and one pair of words for each slot of style; the tokenizer is that of
stage 1.
Presets: full and full_smoke, the studies that have this stage.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  _, config, root = blocks.stage('pages', preset)
  config.text_dir = f'{root}/text'
  return config
