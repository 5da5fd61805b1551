"""Pairs of a simulated forum, to pretrain preference models on.

    python -m experiments.make_forum --config=configs/forum.py --workdir=DIR

What: answers with votes, and vandalised edits; --config.variant=binary makes
two tagged pairs of each (configs/chapters/pretraining.py). The preset is the
study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  _, config, root = blocks.stage('forum', preset)
  config.text_dir, config.variant = f'{root}/text', 'ranked'
  return config
