"""The whole study, by preset.

    python -m experiments.reproduce --config=configs/reproduce.py:micro

What: language models -> comparisons -> preference models -> PPO -> claims,
after Bai et al. 2022. Sizes are rungs of the milli ladder; learning rates are
multiples of each rung's own. Hyper-parameters the paper states (clip 0.2,
gamma 1, lambda_KL 0.001, no entropy bonus; K = 2, its value for the robustness
runs, here in all runs) are the paper's; the relative learning rates are larger
than its 0.01, which is far too slow at this scale. Seeds 0-9 are for
development, 120-124 are spent; 200 and up confirm, and so does
`comparisons.seed`: 0, 100 and 120 drew pairs before. PPO, the dearer half, runs
on the first `rl_seeds` of them.

The sections text, lm, comparisons, pm, rl, frontier and hhh are what those
stages are told (`configs/blocks.py`). `themes` are the chapters that run; a
theme may have a section of what it changes. ppo and sqrt_kl share the policies
of `linear`.

Presets, with the minutes that `python -m scripts.estimate_study PRESET` reckons
for two quiet cores, by kind of job (the study of seeds 120-124 took 15.6, for
which it says 15.8):

  micro      preference models alone, eight seeds: claims 1, 2, 4, 5, 6, 37.
             22 (it took 21): language models and comparisons 9, scaling 7,
             calibration and mixture 3, single 1, compiling 1. Claims on RL want
             eight seeds as well, which is no matter of minutes: headline.
  headline   every claim that has an evaluator, eight seeds, four hours.
             221: preference models 20, policies 121, frontiers 70, the rest 10.
  classic    the same in the first world, of shorter replies: 88.
  full       headline and every further chapter (configs/chapters): 665. A
             chapter alone, in the folder of a finished headline study, takes
             less than an hour, and less than a quarter of one without RL:
             python -m scripts.estimate_study full --chapters
  smollm2_recipes
             smollm2 and further chapters on its heads: mixtures of real pairs,
             pretraining of a head, imitation against ranking
             (docs/real-pairs.md).
  smollm2_rl PPO of SmolLM2 under a head that reads helpful pairs, its frontier
             beside it; three seeds, resumable (docs/real-pairs.md).
  smollm2_policies
             smollm2_rl's policies and others of the same model: finetuned on
             demonstrations, distilled from the prompted model, PPO with text
             mixed in, RLOO, GRPO and DPO; resumable, and in the folder of
             smollm2_rl what is done stays done (docs/real-policies.md).
             smollm2_policies_smoke is all of it once, tiny.
  null       headline with coin-flip labels and hashed rewards.
  shared_variance
             six draws of what all seeds share, four seeds of each, smallest
             size: 31, beside tests it took 41.
  world_as_is, world_unsure, world_probit, world_unbiased, world_half
             the smallest size in four other worlds, and in this one, by the
             same settings (docs/worlds.md): 23 each.
  online_human, online_human_smoke
             a round of training on what people say on the page of
             apps/feedback; it stops where it waits for them (docs/online.md).
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs.presets import controls, people, real, small, whole, worlds

_MADE = (
  *(whole.micro, whole.headline, whole.classic, whole.full),
  *(small.smoke, small.full_smoke, small.smollm2_policies_smoke),
  *(controls.null, controls.gpu, controls.shared_variance, controls.parts),
  *(real.hh, real.smollm2, real.smollm2_full, real.smollm2_rl),
  *(real.smollm2_recipes, real.smollm2_policies),
  *(people.online_human, people.online_human_smoke),
)
PRESETS = {f.__name__: f for f in _MADE} | worlds.PRESETS


def get_config(preset='micro'):
  """Config of a preset, one of `PRESETS`."""
  if preset not in PRESETS:
    raise ValueError(
      f'unknown preset {preset!r}: one of {", ".join(sorted(PRESETS))}'
    )
  return PRESETS[preset]()
