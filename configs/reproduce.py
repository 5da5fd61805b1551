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
             22: language models and comparisons 4, scaling 10, calibration and
             mixture 5, single 2, compiling 1. Claims on RL want eight seeds as
             well, which is no matter of minutes: headline.
  headline   every claim that has an evaluator, eight seeds, under three hours.
             127: preference models 27, policies 61, frontiers 34, the rest 5.
  classic    the same in the first world, of shorter replies: 87.
  full       classic and every further chapter (configs/chapters).
  null       headline with coin-flip labels and hashed rewards.
  shared_variance
             six draws of what all seeds share, four seeds of each, smallest
             size: 19.
"""

import sys
from pathlib import Path

import ml_collections

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


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
  config.text = blocks.text(config)
  config.lm = blocks.lm(config)
  config.comparisons = blocks.comparisons(config)
  config.pm = blocks.pm(config)
  # What pm.lr_multiple is multiplied with; {}: all sizes alike.
  config.pm_lr_multiples = dict(_3K=0.4, _13K=0.3, _42K=0.25, _197K=0.3)
  # Preference models of all pairs end at a rate that falls to zero.
  config.decayed = dict(lr_ratio=0.5, schedule='decay', schedule_shape='linear')
  config.rl = blocks.rl(config)
  config.rl.update(eval_prompts=1024, dense_iterations=24, dense_every=1)
  config.frontier = blocks.frontier()
  # Claims on RL need PMs above chance, in every preset.
  config.claims = dict(rl_requires_test_pm=True)
  config.update(themes())
  return config


def micro():
  """The preference models of headline: the default, a quarter of an hour."""
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


def smoke():
  """Everything once, tiny: under three minutes on two cores."""
  config = classic()
  config.preset = 'smoke'
  config.seeds = (0, 1)
  config.max_prompt, config.max_reply = 24, 24
  config.text.update(
    dialogues=3000,
    plain_texts=100,
    tokenizer_texts=1000,
    heldout_dialogues=200,
  )
  config.lm.update(steps=150, samples=64, checkpoint_every=100)
  config.comparisons.update(lm_size='13K', pairs=4000, sample_batch=256)
  config.pm.update(pairs=768, curve_eval_pairs=512, checkpoint_every=100)
  config.rl.update(
    iterations=8,
    batch_size=64,
    eval_batch=64,
    minibatch_size=32,
    microbatches=1,
    scoring_parts=1,
    eval_prompts=64,
    pi0_samples=2,
    shown=dict(each=1, replies=3, snapshots=2),
    dense_iterations=8,
    dense_every=1,
    warmup_iterations=1,
    checkpoint_every=4,
  )
  config.scaling.update(sizes=('3K', '13K'), curve_points=5)
  config.calibration.update(size='13K', pairs=768)
  config.tension.update(size='13K', pairs=256)
  config.linear.update(sizes=('3K', '13K'), pm_size='13K', pi0_samples=2)
  config.robustness.update(pm_size='13K', pm_pairs=256, iterations=8)
  config.bows.update(iterations=8)
  config.frontier.update(prompts=16, replies=128)
  return config


def full():
  """The study classic and every chapter, one after another.

  In the folder of a finished classic study it goes on from there;
  --config.themes=NAME runs one chapter alone, and what that needs.
  """
  config = classic()
  config.preset = 'full'
  _add_chapters(config)
  return config


def full_smoke():
  """Every chapter once, tiny."""
  config = smoke()
  config.preset = 'full_smoke'
  for chapter in _add_chapters(config):
    chapter.small(config)
  return config


def _add_chapters(config):
  """Adds the sections and the names of all chapters; their modules."""
  found = blocks.chapters()
  for chapter in found.values():
    config.update(chapter.sections(config))
  config.themes += tuple(name for name in found if name not in config.themes)
  return found.values()


def null():
  """The headline study with coin-flip labels and hashed rewards."""
  config = headline()
  config.preset = 'null'
  config.null = True
  return config


def hh():
  """The same stages on the real HH pairs; set data.path to the data folder."""
  config = classic()
  config.preset = 'hh'
  config.seeds, config.rl_seeds = (120, 121, 122), 3
  config.themes = tuple(x for x in config.themes if x != 'bows')
  del config.bows, config.frontier
  config.data.update(source='hh', path='../shared/data', on_error='skip')
  config.test_fraction = 0.3
  config.max_prompt, config.max_reply = 64, 48
  config.text.update(vocab_size=1024, plain_rows=30000, tokenizer_texts=400)
  config.lm.update(steps=2500, batch_size=32)
  config.pm.update(
    pairs=1024, curve_eval_pairs=4096, eval_batch=64, batch_size=16
  )
  config.rl.update(
    batch_size=128, minibatch_size=32, iterations=48, eval_batch=128
  )
  config.rl.update(eval_prompts=256, dense_iterations=32, dense_every=2)
  config.calibration.pairs = config.tension.pairs = 1024
  config.robustness.update(pm_pairs=512, iterations=60)
  return config


def gpu():
  """Larger rungs for one H200-class GPU, one process."""
  config = headline()
  config.preset = 'gpu'
  config.workers = 1
  config.text.update(dialogues=400000)
  config.lm.update(steps=4000, batch_size=256, microbatches=1)
  config.comparisons.update(lm_size='13M', sample_batch=4096)
  config.pm.update(microbatches=1, eval_batch=2048)
  config.pm_lr_multiples = dict(_197K=0.4, _810K=0.3, _2_7M=0.2, _13M=0.1)
  config.rl.update(microbatches=1, scoring_parts=1)
  config.scaling.sizes = ('197K', '810K', '2.7M', '13M')
  config.calibration.size = config.tension.size = '2.7M'
  config.linear.update(sizes=('197K', '810K', '2.7M'), pm_size='13M')
  config.ppo.inert_sizes = ('197K',)
  config.robustness.update(size='197K', pm_size='13M')
  config.bows.size = '197K'
  return config


def shared_variance():
  """Draws of what all seeds share: texts, language model, pairs, prompts.

  Each draw has seeds of its own; `python -m scripts.make_variance_doc` writes
  how much of the variance over seeds lies between draws.
  """
  config = headline()
  config.preset = 'shared_variance'
  config.draws, config.seeds = 6, tuple(range(400, 424))
  config.rl_seeds = len(config.seeds)
  config.comparisons.update(lm_size='13K', pairs=36000)
  config.rl.update(eval_prompts=256, dense_every=2)
  config.themes = ('scaling', 'ppo')
  config.scaling.sizes = config.linear.sizes = ('13K',)
  config.linear.pm_size, config.ppo.inert_sizes = '13K', ()
  for name in ('calibration', 'tension', 'robustness', 'bows', 'frontier'):
    del config[name]
  return config


def smollm2():
  """Heads on SmolLM2-135M-Instruct, cross-fitted over all real HH pairs.

  The only real pairs at hand are those of the two *_base_test files of HH:
  every pair is scored by heads that were fitted on other conversations. Layers
  are chosen beforehand, three quarters of the depth: at the last token of the
  last layer .517 of such pairs are right, .578 by means of layers 15 and 22.
  """
  config = ml_collections.ConfigDict(blocks.common())
  for unused in ('mesh', 'trained', 'adapters', 'world', 'max_prompt'):
    del config[unused]
  del config['max_reply'], config['null']
  config.preset = 'smollm2'
  config.seeds, config.workers = (122,), 1
  config.base = 'smollm2'
  config.data.update(source='hh', path='../shared/data', on_error='skip')
  config.reading.train_pairs = 0
  config.cross_fit = blocks.cross_fit(config)
  config.cross_fit.head.layers = (7, 15, 22)
  config.claims = dict(rl_requires_test_pm=True)
  config.themes = ('real_pairs',)
  return config


def smollm2_full():
  """Adapters of SmolLM2-135M-Instruct on the real HH pairs, and PPO.

  Two cores, 40 minutes, a seed. Adapters of the last blocks; the blocks below
  read every comparison once. Training pairs, test pairs and both halves are cut
  from the two *_base_test files of HH.
  """
  config = ml_collections.ConfigDict(blocks.common())
  config.preset = 'smollm2_full'
  config.seeds, config.rl_seeds, config.workers = (121,), 1, 1
  config.base, config.trained, config.world = 'smollm2', 'adapters', {}
  config.data.update(source='hh', path='../shared/data', on_error='skip')
  config.max_prompt, config.max_reply = 64, 32  # of PPO
  config.pm = blocks.pm(config)
  config.pm.update(adapted_pm())
  config.pm_lr_multiples = {}
  config.decayed = dict(lr_ratio=1.0, schedule='decay', schedule_shape='linear')
  config.rl = blocks.rl(config)
  config.rl.update(adapted_rl())
  config.hhh = blocks.hhh(config)
  config.claims = dict(rl_requires_test_pm=True)
  config.themes = ('scaling', 'sqrt_kl', 'ppo', 'calibration', 'tension', 'hhh')
  config.scaling = dict(sizes=('',), curve_points=1, final_eval_pairs=-1)
  config.calibration = dict(
    size='',
    pairs=400,
    final_eval_pairs=-1,
    mixture_eval_pairs=0,
  )
  config.tension = dict(size='', pairs=300, final_eval_pairs=-1)
  config.linear = dict(sizes=('',), pm_size='')
  config.ppo = dict(inert_sizes=())
  return config


def adapted_pm():
  """What adapters over features change in the section of `train_pm`."""
  return dict(
    read='features',
    pairs=0,  # of each half; 0: all of it
    epochs=3,
    batch_size=8,
    microbatches=2,
    learning_rate=2e-3,
    schedule='decay',
    schedule_shape='linear',
    warmup=0.1,
    average_eta=-1.0,
    curve_eval_pairs=0,
    final_eval_pairs=-1,
    eval_batch=8,
    log_every=5,
    checkpoint_every=25,
  )


def adapted_rl():
  """What adapters change in the section of `train_ppo`."""
  return dict(
    pm_pairs=400,
    iterations=16,
    batch_size=16,
    minibatch_size=16,
    microbatches=1,
    scoring_parts=1,
    passes=1,
    learning_rate=3e-3,
    lr_multiple=1.0,
    value_lr_ratio=0.3,
    warmup_iterations=1,
    eval_prompts=24,
    eval_batch=24,
    pi0_samples=2,
    shown=dict(each=2, replies=5, snapshots=2),
    dense_iterations=16,
    checkpoint_every=4,
  )


def parts():
  """Development of the world of parts, without RL (docs/worlds.md)."""
  config = study('parts', 'parts')
  config.seeds, config.rl_seeds = (0,), 0
  config.text.update(dialogues=24000, plain_texts=1000, tokenizer_texts=3000)
  config.lm.update(steps=1200)
  config.comparisons.update(seed=0, pairs=19000)
  config.pm.update(pairs=6144)
  config.themes = ('scaling',)
  config.scaling.update(sizes=('13K', '42K', '197K'), curve_points=3)
  return config


_MADE = (
  *(
    micro,
    headline,
    classic,
    full,
    full_smoke,
    smoke,
    null,
    hh,
    gpu,
    shared_variance,
  ),
  *(parts, smollm2, smollm2_full),
)
PRESETS = {f.__name__: f for f in _MADE}


def get_config(preset='micro'):
  """Config of a preset, one of `PRESETS`."""
  if preset not in PRESETS:
    raise ValueError(
      f'unknown preset {preset!r}: one of {", ".join(sorted(PRESETS))}'
    )
  return PRESETS[preset]()
