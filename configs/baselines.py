"""Stage 5 by another algorithm: RLOO or GRPO in place of PPO.

    python -m experiments.train_ppo --config=configs/baselines.py --workdir=DIR
    ... --config.algorithm=grpo --config.kl_coef=0.04

What: the runs of the chapter `baselines`, RLOO unless told. Each prompt is
answered `group` times; a batch has batch_size replies, so batch_size / group
prompts. RLOO (Ahmadian et al. 2024): a reply's advantage is its return less the
mean of the others', the KL penalty is in the reward. GRPO (Shao et al. 2024):
its score in deviations of the group's, replies weigh alike, and the penalty is
k3 in the loss. Neither has a value network; PPO (algorithm=ppo) starts here
from one with a zero head. All else is as in configs/ppo.py, which is PPO alone.
Presets: those of the study that have the chapter; smollm2 is adapters over
SmolLM2-135M-Instruct, as of configs/ppo.py:smollm2.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study: its run of RLOO."""
  if preset == 'smollm2':
    return adapted()
  study, config, root = blocks.stage('baselines_rl', preset)
  own = study.baselines
  config.role, config.half, config.seed = 'by_rloo', 'a', study.seeds[0]
  config.size, config.pm_size = own.size, study.linear.pm_size
  config.pm_pairs = study.baselines_rl.pm_pairs or study.pm.pairs
  config.algorithm, config.value_pm_dir = 'rloo', ''
  config.lr_multiple = own.rloo.lr_multiple
  blocks.start(config, study, root)
  blocks.watch(config, root)
  return config


def adapted():
  """RLOO of adapters over SmolLM2 on the real HH pairs."""
  study, config, root = blocks.stage('rl', 'smollm2')
  config.update(algorithm='rloo', group=4)
  config.role, config.half, config.seed = 'by_rloo', 'a', study.seeds[0]
  config.size, config.pm_size, config.value_pm_dir = '', '', ''
  blocks.start(config, study, root)
  blocks.watch(config, root)
  return config
