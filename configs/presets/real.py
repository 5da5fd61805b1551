"""Studies of real pairs: our ladder on them, and a real language model."""

import ml_collections

from configs import blocks, stages
from configs.presets import whole


def hh():
  """The same stages on the real HH pairs; set data.path to the data folder."""
  config = whole.classic()
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
  config.cross_fit = stages.cross_fit(config)
  config.cross_fit.head.layers = (7, 15, 22)
  config.claims = dict(rl_requires_test_pm=True)
  config.outliers = blocks.chapters()['ood'].real(config)
  config.themes = ('real_pairs', 'ood')
  return config


def smollm2_recipes():
  """The study smollm2 with further chapters on the same frozen model.

  What smollm2 has made is not made again: in its folder (WORKDIR) only the
  further chapters run. Each by itself: --config.themes=real_mixtures.
  """
  config = smollm2()
  config.preset = 'smollm2_recipes'
  config.real_mixtures = stages.real_mixtures(config)
  config.pretrain_heads = stages.pretrain_heads(config)
  config.compare_ranked = stages.compare_ranked(config)
  for name in ('real_mixtures', 'pretrain_heads', 'compare_ranked'):
    config[name].head.layers = config.cross_fit.head.layers
  more = ('real_mixtures', 'real_pretraining', 'real_imitation')
  config.themes = (*config.themes, *more)
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
  config.pm = stages.pm(config)
  config.pm.update(adapted_pm())
  config.pm_lr_multiples = {}
  config.decayed = dict(lr_ratio=1.0, schedule='decay', schedule_shape='linear')
  config.rl = stages.rl(config)
  config.rl.update(adapted_rl())
  config.hhh = stages.hhh(config)
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


def smollm2_rl():
  """PPO of SmolLM2-135M-Instruct against a preference model that reads pairs.

  Linear heads on pooled features of helpful pairs alone, one of each half, so
  that one rewards and the other watches; fitted on four fifths of the pairs
  such a head prefers better than a rule on length does (docs/real-pairs.md).
  The policy is adapters over the same frozen weights and answers helpful
  prompts. Claims on RL want eight seeds: these three decide none. The settings
  of PPO stood eight iterations of seed 0, by their KL; no others were tried.
  """
  config = smollm2_full()
  config.preset = 'smollm2_rl'
  config.seeds, config.rl_seeds = (200, 201, 202), 3
  config.subset = 'helpful'
  config.matmul = 'bf16_f32'  # twice the rate, where there are matrix units
  config.reading.train_pairs = 0
  # Of its own: the other stages train adapters.
  config.pm = stages.pm(config) | dict(trained='head', read='pooled', pairs=0)
  config.pm.update(curve_eval_pairs=0, final_eval_pairs=-1, eval_batch=8)
  config.pm.head.layers = (7, 15, 22)
  config.rl.update(
    prompt_kind='helpful',
    pm_pairs=0,
    gae_lambda=1.0,  # the value network starts at zero, not as a PM
    batch_size=32,
    minibatch_size=16,
    iterations=48,
    learning_rate=1e-3,
    warmup_iterations=2,
    eval_prompts=64,
    eval_batch=64,
    dense_iterations=48,
    dense_every=4,
    checkpoint_every=4,
  )
  config.frontier = stages.frontier() | dict(prompts=32, replies=128)
  config.themes = ('scaling', 'ppo', 'sqrt_kl')
  for unused in ('hhh', 'calibration', 'tension', 'decayed'):
    del config[unused]
  return config


def smollm2_policies():
  """Other policies of SmolLM2 beside those of smollm2_rl, a theme a file.

  A model finetuned on demonstrations, one distilled from itself behind the HHH
  prompt, PPO with pretraining text mixed in, and RLOO, GRPO and DPO: the files
  of configs/policies. Heads, PPO and its frontier are the jobs of smollm2_rl:
  in its folder (WORKDIR) they are not made again; elsewhere they take 40
  minutes more for each of two seeds. One seed or two decide no claim.

  Two hours of two quiet cores, reckoned and not run (docs/real-policies.md):
  real_sft 16 minutes, real_distillation 28, real_ptx 35, real_baselines 40.
  Counted were tokens; measured, 2.0 seconds for a step of finetuning on 768 and
  1.9 for one of a student on 608, and beside other programs 1.2 core-seconds
  for the teacher on 872 and 16.4 for an iteration of PPO of 16 replies and as
  many rows of text.
  """
  config = smollm2_rl()
  config.preset = 'smollm2_policies'
  themes = blocks.chapters('policies')
  for theme in themes.values():
    config.update(theme.sections(config))
  config.themes = tuple(themes)
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
