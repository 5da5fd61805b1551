"""The studies of the papers' claims: every other preset is a change of one."""

import ml_collections

from configs import blocks, stages


def headline():
  """All claims, eight seeds, in the world of parts (docs/worlds.md)."""
  config = study('headline', 'parts')
  # Rows are twice as long as those of the first world: within three hours with
  # these, which reach to sqrt(KL) = 1.9 (the policies are asked to 1.5).
  config.frontier.update(prompts=32, replies=1536)
  return config


def classic():
  """All claims, eight seeds, in the first world, where the frontier bends."""
  return study('classic', 'classic')


def study(preset, world):
  """All claims, eight seeds; every preset is a change of it.

  Every iteration within the early window is measured, on 1,024 prompts: at
  that, claims 13, 66 and 67 have the power that docs/operating.md states.

  Args:
    preset: its name.
    world: one of blocks.WORLDS.
  """
  config = ml_collections.ConfigDict(blocks.common(world))
  config.preset = preset
  config.seeds = tuple(range(200, 208))
  config.rl_seeds = 8
  config.draws = 1  # of what all seeds share
  config.workers = 2
  config.test_fraction = 0.29
  config.text = stages.text(config)
  config.lm = stages.lm(config)
  config.comparisons = stages.comparisons(config)
  config.pm = stages.pm(config)
  # What pm.lr_multiple is multiplied with; {}: all sizes alike.
  config.pm_lr_multiples = dict(_3K=0.4, _13K=0.3, _42K=0.25, _197K=0.3)
  # Preference models of all pairs end at a rate that falls to zero.
  config.decayed = dict(lr_ratio=0.5, schedule='decay', schedule_shape='linear')
  config.rl = stages.rl(config)
  config.rl.update(eval_prompts=1024, dense_iterations=24, dense_every=1)
  config.frontier = stages.frontier()
  # Claims on RL need PMs above chance, in every preset.
  config.claims = dict(rl_requires_test_pm=True)
  config.update(themes())
  return config


def micro():
  """The preference models of headline: the default, some 30 minutes."""
  config = headline()
  config.preset = 'micro'
  config.themes = ('scaling', 'calibration', 'tension')
  return config


def themes():
  """Which themes run, and a section for each (experiments/studies/THEME.py)."""
  return dict(
    themes=(
      'scaling',
      'calibration',
      'tension',
      'ppo',
      'sqrt_kl',
      'robustness',
      'bows',
    ),
    scaling=dict(
      sizes=('3K', '13K', '42K', '197K'),
      curve_points=6,
      final_eval_pairs=4096,  # of the last size
    ),
    calibration=dict(
      size='42K',
      pairs=12288,
      final_eval_pairs=14000,
      mixture_eval_pairs=4096,  # 0: no model of both kinds
    ),
    tension=dict(size='42K', pairs=3840, final_eval_pairs=4096),
    linear=dict(sizes=('13K', '42K', '197K'), pm_size='197K', pi0_samples=4),
    ppo=dict(inert_sizes=('13K',)),  # policies without a KL penalty
    robustness=dict(
      size='13K',
      pm_size='197K',
      pm_pairs=6144,
      iterations=52,
      lr_multiple=0.06,
    ),
    bows=dict(size='13K', iterations=18),
  )


def full():
  """The headline study and every chapter, one after another.

  In the folder of a finished headline study it goes on from there;
  --config.themes=NAME runs one chapter alone, and what that needs.
  """
  config = headline()
  config.preset = 'full'
  add_chapters(config)
  return config


def add_chapters(config):
  """Adds the sections and the names of all chapters; their modules."""
  found = blocks.chapters()
  for chapter in found.values():
    config.update(chapter.sections(config))
  config.themes += tuple(name for name in found if name not in config.themes)
  return found.values()
