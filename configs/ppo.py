r"""Stage 5: PPO of the largest policy against the largest preference model.

    python -m experiments.train_ppo --config=configs/ppo.py --workdir=DIR

What: Bai et al. 2022, section 4: clip 0.2, discount 1, total reward r_PM -
kl_coef KL with kl_coef 0.001, no entropy bonus; a train PM rewards and a test
PM, trained on the other half of the comparisons, watches. value_pm_dir empty
starts the value network from the language model with a zero head.
hashed_rewards replaces both PMs by noise, for the null study. prompt_buckets
(12, 24) puts prompts of at most 12 tokens into batches of their own, with fewer
pads; each edge is a program. A `mesh` of more than one device cuts rows and
parameters over all devices of the process. Presets: the study's.

    python -m experiments.train_ppo --config=configs/ppo.py:smollm2 \
        --workdir=DIR

In the preset smollm2 the policy is adapters over SmolLM2-135M-Instruct, its
prompts are those of the real HH pairs in data.path, and its PMs are two runs of
`experiments.train_pm`, one on each half.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='micro'):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('rl', preset)
  block = study.linear
  config.role, config.half, config.seed = 'linear', 'a', study.seeds[0]
  config.size, config.pm_size = block.sizes[-1], block.pm_size
  config.pi0_samples = block.get('pi0_samples', config.pi0_samples)
  config.pm_pairs = study.rl.pm_pairs or study.pm.pairs
  blocks.start(config, study, root)
  blocks.watch(config, root)
  if config.size:
    size, seed = config.get_ref('size'), config.get_ref('seed').to_str()
    config.value_pm_dir = f'{root}/pm/scaling-' + size + '-mix-a-s' + seed
  else:
    config.value_pm_dir = config.get_ref('train_pm_dir')
  return config
