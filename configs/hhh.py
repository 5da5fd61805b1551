"""The HHH comparisons of Askell et al. 2021, judged zero-shot.

    python -m experiments.evaluate_hhh --config=configs/hhh.py --workdir=DIR

What: an imported chat model as it is, the same with an HHH prompt, and the
preference models in pm_dirs, if any, named in pm_names. The data are for
evaluation alone. Preset: smollm2, as in the study of that name, with its
first two preference models.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='smollm2'):
  """Config of a preset of the study: smollm2."""
  study, config, root = blocks.stage('hhh', preset)
  config.seed, names = study.seeds[0], ('scaling-mix-a', 'rl-mix-b')
  config.pm_names = names
  config.pm_dirs = tuple(f'{root}/pm/{name}-s{config.seed}' for name in names)
  return config
