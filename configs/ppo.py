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

    python -m experiments.train_ppo --config=configs/ppo.py:instructgpt \
        --workdir=DIR

The presets instructgpt and ziegler are the preset micro with the numbers of
those papers, each with its source beside it; instructgpt.smollm2 is the preset
smollm2 with them. What of the papers is not there is in docs/instructgpt.md.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='micro'):
  """Config of a preset of the study, of a RECIPE, or of RECIPE.PRESET."""
  recipe, _, name = preset.partition('.')
  if recipe not in RECIPES:
    return of_study(preset)
  config = of_study(name or 'micro')
  config.update(blocks.chapters()['instruct'].recipe())
  return RECIPES[recipe](config, f'runs/reproduce{name and "-"}{name}')


def of_study(preset):
  """Config of a preset of the study."""
  study, config, root = blocks.stage('rl', preset)
  block = study.linear
  config.role, config.half, config.seed = 'linear', 'a', study.seeds[0]
  config.size, config.pm_size = block.sizes[-1], block.pm_size
  config.pi0_samples = block.get('pi0_samples', config.pi0_samples)
  config.pm_pairs = study.rl.pm_pairs or study.pm.pairs
  blocks.start(config, study, root)
  subset = study.get('subset', 'mix')
  blocks.watch(config, root, subset=subset)
  if study.pm.trained != study.rl.trained:
    config.value_pm_dir = ''
  elif config.size:
    size, seed = config.get_ref('size'), config.get_ref('seed').to_str()
    config.value_pm_dir = f'{root}/pm/scaling-' + size + f'-{subset}-a-s' + seed
  else:
    # A reference of its own, so that '' can be set beside a train PM.
    config.value_pm_dir = config.get_ref('train_pm_dir') + ''
  return config


def instructgpt(config, root):
  """PPO-ptx as in Ouyang et al. 2022 (arXiv:2203.02155).

  Learning rates stay ours: those of the paper are for models a thousand times
  larger, and the one of its final policies is not stated.
  """
  config.update(
    kl_coef=0.02,  # beta: app. C.4
    ptx_coef=27.8,  # gamma: section 3.5, equation 2
    ptx_per_episode=8,  # app. C.4: 8 times as many as episodes
    batch_size=512,  # app. C.4
    minibatch_size=64,  # app. C.4
    passes=1,  # app. C.4: one inner epoch
    iterations=500,  # app. C.4: 256,000 episodes, 512 an iteration
    warmup_iterations=10,  # app. C.4: from a tenth of the peak
    schedule_shape='constant',  # app. C.4
    clip=0.2,  # app. C.4
    discount=1.0,  # app. C.4: no discount
    gae_lambda=0.95,  # not stated; Stiennon et al. 2020, app. B.1
    temperature=1.0,  # app. C.4
    b2=0.95,  # app. C: Adam's betas are .9 and .95
    average_decay=0.992,  # app. C.4; of an update or an iteration: not stated
    reward_samples=512,  # not stated
    reward_sd=0.0,  # section 3.5: a bias alone; there demonstrations score 0
    sparse_every=50,  # ours: between two evaluations
    dense_iterations=0,  # ours
  )
  if config.comparisons_dir:  # a study that made its own texts
    config.ptx_text = f'{root}/text'
  return config


def ziegler(config, root):
  """PPO of Ziegler et al. 2019 (arXiv:1909.08593), task `sentiment`.

  The numbers are those of github.com/openai/lm-human-preferences, files
  launch.py (L), train_policy.py (T), train_reward.py (R) and utils/core.py (C);
  Huang et al. 2023, "The N Implementation Details of RLHF with PPO", describes
  them. The learning rate, 1e-5 there (L), stays ours.
  """
  del root
  config.update(
    kl_coef=0.15,  # L: to start with
    kl_target=6.0,  # L: nats a reply
    kl_horizon=10000,  # T: episodes
    batch_size=512,  # L
    minibatch_size=512,  # T: one minibatch
    passes=4,  # T: noptepochs
    iterations=1954,  # L: 1,000,000 episodes, rounded up
    warmup_iterations=0,  # T
    schedule_shape='linear',  # T: to 0 at the end
    clip=0.2,  # T: cliprange
    value_clip=0.2,  # T: cliprange_value
    value_coef=0.1,  # T: vf_coef
    discount=1.0,  # T: gamma
    gae_lambda=0.95,  # T: lam
    whiten_rewards=True,  # T: their mean is kept
    temperature=0.7,  # L
    b2=0.999,  # C: the default of TensorFlow's Adam
    adam_eps=1e-5,  # C
    reward_samples=256,  # L: normalize_samples
    reward_sd=1.0,  # R: mean 0, standard deviation 1
    value_pm_dir='',  # N details: a head that starts at zero
    sparse_every=100,  # ours: between two evaluations
    dense_iterations=0,  # ours
  )
  return config


RECIPES = {'instructgpt': instructgpt, 'ziegler': ziegler}
