"""Stage 5: PPO of the largest policy against the largest preference model.

    python -m experiments.train_ppo --config=configs/ppo.py --workdir=DIR

What: Bai et al. 2022, section 4: clip 0.2, discount 1, total reward r_PM -
kl_coef KL with kl_coef 0.001, no entropy bonus; a train PM rewards and a test
PM, trained on the other half of the comparisons, watches. value_pm_dir empty
starts the value network from the language model with a zero head.
hashed_rewards replaces both PMs by noise, for the null study. prompt_buckets
(12, 24) puts prompts of at most 12 tokens into batches of their own, with fewer
pads; each edge is a program. A `mesh` of more than one device cuts rows and
parameters over all devices of the process. Presets: micro and smoke, as in the
study.

    python -m experiments.tune_ppo --config=configs/ppo.py:smollm2 --workdir=DIR

smollm2 is another stage's: the policy is adapters over SmolLM2-135M-Instruct,
its prompts are those of the real HH pairs in data.path, and its PMs are two
runs of `experiments.tune_pm`, one on each half.
"""

import ml_collections

from configs import blocks


def smollm2():
  """Against the PM of half a, watched by that of half b, as in the study."""
  config = ml_collections.ConfigDict()
  config.base = 'smollm2'
  config.size = ''  # told by the model
  config.dtype = 'float32'
  config.mesh = blocks.mesh()
  config.trained = 'adapters'
  config.world = {}
  config.hashed_rewards = False
  config.pm_size = ''  # told by the train PM
  config.pad_token = ''  # of the model's vocabulary, where it names none
  config.data = dict(
    source='hh', path='../shared/data', on_error='skip', split_seed=0
  )
  config.reading = blocks.reading()
  config.comparisons_dir = ''  # '': the released pairs of data.path
  config.feature_folder = 'runs/reproduce-smollm2/features'
  config.adapters = blocks.adapters()
  config.max_prompt = 64
  config.max_reply = 32
  config.pm_pairs = 400  # of each PM, for the tables
  config.iterations = 16
  config.batch_size = 16
  config.minibatch_size = 16
  config.microbatches = 1
  config.scoring_parts = 1
  config.prompt_buckets = ()
  config.passes = 1
  config.temperature = 1.0
  config.learning_rate = 3e-3
  config.lr_multiple = 1.0
  config.value_lr_ratio = 0.3
  config.warmup_iterations = 1
  config.b2 = 0.95
  config.clip = 0.2
  config.value_clip = 0.0  # 0: no clipping
  config.kl_coef = 0.001
  config.discount = 1.0
  config.gae_lambda = 0.95
  config.truncation_penalty = 0.0
  config.eval_prompts = 24
  config.eval_batch = 24
  config.pi0_samples = 2
  config.dense_iterations = 16
  config.dense_every = 2
  config.sparse_every = 4
  config.log_every = 1
  config.checkpoint_every = 4
  config.role = 'linear'
  config.seed = 121
  config.half = 'a'
  pms = 'runs/reproduce-smollm2/pm'
  config.train_pm_dir = f'{pms}/scaling-mix-a-s121'
  config.test_pm_dir = f'{pms}/rl-mix-b-s121'
  config.value_pm_dir = config.get_ref('train_pm_dir')
  return config


def get_config(preset='micro'):
  """Config of a preset: micro, smoke or smollm2."""
  if preset == 'smollm2':
    return smollm2()
  if preset not in ('micro', 'smoke'):
    raise ValueError(f'unknown preset {preset!r}: one of micro, smoke, smollm2')
  root = {'micro': 'runs/reproduce', 'smoke': 'runs/reproduce-smoke'}[preset]
  config = ml_collections.ConfigDict()
  config.data = dict(
    source='simulated', path='', on_error='raise', split_seed=0
  )
  config.pad_token = ''
  config.trained = 'all'
  config.adapters = blocks.adapters()
  config.reading = blocks.reading()
  config.feature_folder = f'{root}/features'
  config.world = dict(
    seed=0,
    correctness_weight=3.0,
    style_cap=8.0,
    tone_sd=0.3,
    interaction_sd=0.2,
    harmless_style=0.1,
    temperature=0.8,
  )
  config.dtype = 'float32'
  config.mesh = dict(data=1, fsdp=1, model=1)  # devices along each axis
  config.role = 'linear'
  config.seed = 120
  config.half = 'a'
  config.max_prompt = 24
  config.max_reply = 28
  config.size = '197K'
  config.pm_size = '197K'
  config.pm_pairs = 12288
  config.hashed_rewards = False
  config.iterations = 34
  config.passes = 2
  config.batch_size = 256
  config.minibatch_size = 64
  config.microbatches = 4
  config.scoring_parts = 8
  config.prompt_buckets = ()  # columns of each length bucket; (): one length
  config.temperature = 1.0
  config.learning_rate = 0.0  # 0: the rung's, times lr_multiple
  config.lr_multiple = 0.06
  config.value_lr_ratio = 1.0
  config.warmup_iterations = 6
  config.b2 = 0.95
  config.clip = 0.2
  config.value_clip = 0.0  # 0: no clipping
  config.kl_coef = 0.001
  config.discount = 1.0
  config.gae_lambda = 0.95
  config.truncation_penalty = 0.0
  config.eval_prompts = 256
  config.eval_batch = 256  # prompts a call; divides eval_prompts
  config.pi0_samples = 8  # replies of pi_0 to each held-out prompt
  config.dense_iterations = 32
  config.dense_every = 2
  config.sparse_every = 4
  config.log_every = 1
  config.checkpoint_every = 12
  if preset == 'smoke':
    config.seed = 0
    config.max_reply = 24
    config.size = '13K'
    config.pm_size = '13K'
    config.pm_pairs = 768
    config.iterations = 8
    config.batch_size = 64
    config.minibatch_size = 32
    config.microbatches = 1
    config.scoring_parts = 1
    config.warmup_iterations = 1
    config.eval_prompts = 64
    config.eval_batch = 64
    config.pi0_samples = 2
    config.dense_iterations = 8
    config.dense_every = 1
    config.checkpoint_every = 4
  pm = config.get_ref('pm_size')
  seed = config.get_ref('seed').to_str()
  config.comparisons_dir = f'{root}/comparisons'
  config.base = f'{root}/lm/' + config.get_ref('size')
  config.train_pm_dir = f'{root}/pm/scaling-' + pm + '-mix-a-s' + seed
  config.test_pm_dir = f'{root}/pm/rl-' + pm + '-mix-b-s' + seed
  config.value_pm_dir = (
    f'{root}/pm/scaling-' + config.get_ref('size') + '-mix-a-s' + seed
  )
  return config
