"""Preference models and policies of one size on skills that were mixed in.

    python -m experiments.evaluate_skills --config=configs/skills.py \
        --workdir=DIR

What: the largest size of the study's first seed: preference models of the
world's own pairs, of summaries, of lines of Python and of all three; the
language model, its policy after RL on the world's own requests, and that after
RL on all. Presets: full and full_smoke, the studies that have this stage.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('capability', preset)
  size, seed, tasks = (
    *(study.skills.sizes[-1], study.seeds[0]),
    ('hh', 'summaries', 'oneliners'),
  )
  config.role, config.half, config.seed, config.size = (
    *('capability', 'all', seed),
    size,
  )
  config.world.skill_share = study.skills.share
  config.tranche_names = tasks
  config.tranche_dirs = tuple(f'{root}/skills/comparisons_{x}' for x in tasks)
  config.pm_names = (*tasks, 'mixed')
  config.pm_dirs = tuple(
    f'{root}/pm/skill_{x}-{size}-mix-all-s{seed}' for x in config.pm_names
  )
  config.writer_names = ('pi_0', 'hh', 'mixed')
  config.writer_dirs = (
    f'{root}/skills/lm/{size}',
    *(f'{root}/rl/{x}-{size}-all-s{seed}' for x in ('tax', 'tax_mixed')),
  )
  return config
