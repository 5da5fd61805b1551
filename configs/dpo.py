"""DPO: a policy from comparisons, beside PPO.

    python -m experiments.train_dpo --config=configs/dpo.py --workdir=DIR

What: Rafailov et al. 2023: the policy whose implicit reward, beta log(pi /
pi_0), best explains the choices. It starts from pi_0 and sees the pairs of the
train PM of configs/ppo.py, in the same draw; `iterations` are updates of
batch_size pairs. A train PM and a test PM watch it, as they watch PPO, and
train nothing; train_pm_dir empty: nobody watches. Presets: those of the study
that have the chapter `baselines`; smollm2 is adapters over
SmolLM2-135M-Instruct on the real HH pairs, beside configs/ppo.py:smollm2.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study."""
  if preset == 'smollm2':
    return adapted()
  study, config, root = blocks.stage('dpo', preset)
  own = study.baselines
  config.role, config.half, config.seed = 'by_dpo', 'a', study.seeds[0]
  config.size, config.pm_size = own.size, study.linear.pm_size
  config.train_subset = 'mix'
  config.pairs = config.pm_pairs = study.pm.pairs
  config.lr_multiple, config.beta = own.dpo.lr_multiple, own.dpo.beta
  blocks.start(config, study, root)
  blocks.watch(config, root)
  return config


def adapted():
  """DPO of adapters over SmolLM2, measured as its policies of PPO are."""
  study, rl, root = blocks.stage('rl', 'smollm2')
  section = blocks.chapters()['baselines'].dpo(study)
  config = type(study)(section)
  for key in ('scoring_parts', 'eval_prompts', 'eval_batch', 'pi0_samples'):
    config[key] = rl[key]
  config.update(shown=rl.shown, learning_rate=3e-4, lr_multiple=1.0, beta=0.1)
  config.update(iterations=48, batch_size=8, microbatches=4, log_every=1)
  config.update(warmup_iterations=4, dense_iterations=16, dense_every=8)
  config.update(sparse_every=16, checkpoint_every=16)
  config.role, config.half, config.seed = 'by_dpo', 'a', study.seeds[0]
  config.size, config.pm_size, config.train_subset = '', '', 'mix'
  config.pairs, config.pm_pairs = 0, rl.pm_pairs
  blocks.start(config, study, root)
  blocks.watch(config, root)
  return config
