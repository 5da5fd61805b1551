"""Pairs of tasks with an exact answer, for three methods to learn from.

    python -m experiments.make_tasks --config=configs/tasks.py --workdir=DIR

What: two ranked and two binary tasks of the simulated world
(configs/chapters/imitation.py). The preset is the study's.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  _, config, root = blocks.stage('tasks', preset)
  config.text_dir = f'{root}/text'
  return config
