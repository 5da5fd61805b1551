"""The whole study, by preset.

    python -m experiments.reproduce --config=configs/reproduce.py:micro

What: language models -> comparisons -> preference models -> PPO -> claims,
after Bai et al. 2022. Sizes are rungs of the milli ladder; learning rates are
multiples of each rung's own. Hyper-parameters the paper states (clip 0.2,
gamma 1, lambda_KL 0.001, no entropy bonus; K = 2, its value for the robustness
runs, here in all runs) are the paper's; the relative learning rates are larger
than its 0.01, which is far too slow at this scale. `seeds` 0-9 are for
development; 120 and up confirm, and so does `comparisons.seed`: 0 and 100 drew
development pairs. PPO, the dearer half, runs on the first `rl.seeds` of them.
"""

import ml_collections

from configs import blocks


def base():
  """The micro study; every preset is a change of it."""
  config = ml_collections.ConfigDict()
  config.preset = 'micro'
  config.seeds = (120, 121, 122, 123, 124)
  config.workers = 2
  config.themes = (  # experiments/studies/registry.py
    'scaling',
    'calibration',
    'tension',
    'ppo',
    'sqrt_kl',
    'robustness',
  )
  config.dtype = 'float32'
  # Devices of a language model's or a policy's run; with one worker.
  config.mesh = dict(data=1, fsdp=1, model=1)
  config.data = dict(
    source='simulated', path='', on_error='raise', split_seed=0
  )
  # Chosen on development seeds: with the defaults of WorldConfig the preference
  # models stay at .61 on helpful pairs and all sizes are alike. Here right
  # answers weigh more, tones are milder, and their sum does not saturate.
  config.world = dict(
    seed=0,
    correctness_weight=3.0,
    style_cap=8.0,
    tone_sd=0.3,
    interaction_sd=0.2,
    harmless_style=0.1,
    temperature=0.8,
  )
  config.null = False
  config.trained = 'all'
  config.read = 'tokens'
  config.adapters = blocks.adapters()
  config.reading = blocks.reading()
  config.features = blocks.features()
  config.test_fraction = 0.29
  config.max_prompt = 24
  config.max_reply = 28

  config.text = dict(
    seed=0,
    vocab_size=1024,
    dialogues=64000,
    plain_texts=4000,
    plain_rows=0,
    tokenizer_texts=4000,
    heldout_dialogues=512,
  )
  config.lm = dict(
    seed=0,
    steps=1600,
    batch_size=64,
    microbatches=4,
    pack=True,  # several texts a row: the same gradient, fewer rows
    warmup=0.05,
    b2=0.98,
    weight_decay=0.01,
    samples=512,
    log_every=50,
    checkpoint_every=1000,
  )
  config.comparisons = dict(
    seed=120, size='197K', pairs=47000, sample_batch=512
  )
  config.pm = dict(
    sizes=('3K', '13K', '42K', '197K'),
    largest='197K',
    middle='42K',
    pairs=12288,
    epochs=1,
    batch_size=32,
    microbatches=4,
    lr_multiple=dict(_3K=0.4, _13K=0.3, _42K=0.25, _197K=0.3),
    warmup=0.02,
    b2=0.98,
    average_eta=8.0,  # of the average of the parameters along the run
    curve_points=6,
    curve_eval_pairs=2048,
    eval_batch=32,  # few: a CPU's cache holds what is computed on the way
    robust_pairs=6144,
    robust_size='197K',
    calibration_pairs=12288,
    single_pairs=3840,
    final_eval_pairs=4096,
    calibration_eval_pairs=14000,
    decay_lr_ratio=0.5,
    log_every=20,
    checkpoint_every=400,
  )
  config.rl = dict(
    sizes=('13K', '42K', '197K'),
    small='13K',
    seeds=3,
    iterations=34,
    batch_size=256,
    eval_batch=256,
    minibatch_size=64,
    microbatches=4,
    scoring_parts=8,
    prompt_buckets=(),  # columns of each length bucket; (): one length
    passes=2,
    temperature=1.0,
    lr_multiple=0.06,
    value_lr_ratio=1.0,
    warmup_iterations=6,
    b2=0.95,
    clip=0.2,
    value_clip=0.0,  # 0: no clipping
    kl_coef=0.001,
    discount=1.0,
    gae_lambda=0.95,
    truncation_penalty=0.0,
    eval_prompts=256,
    pi0_samples=4,
    linear_pi0_samples=8,
    dense_iterations=32,
    dense_every=2,
    sparse_every=4,
    robust_iterations=52,
    robust_lr_multiple=0.06,
    log_every=1,
    checkpoint_every=12,
  )
  config.claims = dict(rl_requires_test_pm=False)
  return config


def smoke():
  """Everything once, tiny: under three minutes on two cores."""
  config = base()
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
  config.comparisons.update(size='13K', pairs=4000, sample_batch=256)
  config.pm.update(
    sizes=('3K', '13K'),
    largest='13K',
    middle='13K',
    robust_size='13K',
    pairs=768,
    robust_pairs=256,
    calibration_pairs=768,
    single_pairs=256,
    curve_points=5,
    curve_eval_pairs=512,
    checkpoint_every=100,
  )
  config.rl.update(
    sizes=('3K', '13K'),
    small='13K',
    iterations=8,
    robust_iterations=8,
    batch_size=64,
    eval_batch=64,
    minibatch_size=32,
    microbatches=1,
    scoring_parts=1,
    eval_prompts=64,
    pi0_samples=2,
    linear_pi0_samples=2,
    dense_iterations=8,
    dense_every=1,
    warmup_iterations=1,
    checkpoint_every=4,
  )
  return config


def null():
  """The micro study with coin-flip labels and hashed rewards."""
  config = base()
  config.preset = 'null'
  config.null = True
  return config


def hh():
  """The same stages on the real HH pairs; set data.path to the data folder."""
  config = base()
  config.preset = 'hh'
  config.data.update(source='hh', path='../shared/data', on_error='skip')
  config.test_fraction = 0.3
  config.max_prompt, config.max_reply = 64, 48
  config.text.update(vocab_size=1024, plain_rows=30000, tokenizer_texts=400)
  config.lm.update(steps=2500, batch_size=32)
  config.pm.update(
    pairs=1024,
    epochs=1,
    robust_pairs=512,
    calibration_pairs=1024,
    single_pairs=1024,
    curve_eval_pairs=4096,
    eval_batch=64,
    batch_size=16,
  )
  config.rl.update(
    batch_size=128,
    minibatch_size=32,
    iterations=48,
    robust_iterations=60,
    eval_prompts=256,
    eval_batch=128,
    dense_iterations=32,
  )
  config.seeds = (120, 121, 122)
  config.claims.rl_requires_test_pm = True
  return config


def gpu():
  """Larger rungs for one H200-class GPU, one process."""
  config = base()
  config.preset = 'gpu'
  config.workers = 1
  config.text.update(dialogues=400000)
  config.lm.update(steps=4000, batch_size=256, microbatches=1)
  config.comparisons.update(size='13M', sample_batch=4096)
  config.pm.update(
    sizes=('197K', '810K', '2.7M', '13M'),
    largest='13M',
    middle='2.7M',
    microbatches=1,
    robust_size='13M',
    lr_multiple=dict(_197K=0.4, _810K=0.3, _2_7M=0.2, _13M=0.1),
    eval_batch=2048,
  )
  config.rl.update(
    sizes=('197K', '810K', '2.7M'),
    small='197K',
    microbatches=1,
    scoring_parts=1,
  )
  return config


def smollm2():
  """SmolLM2-135M-Instruct on the real HH pairs: two cores, 40 minutes, a seed.

  Adapters of the last blocks; the blocks below read every comparison once. The
  only real pairs at hand are those of the two *_base_test files of HH, so
  training, validation and both halves are cut from them.
  """
  config = ml_collections.ConfigDict()
  config.preset = 'smollm2'
  config.seeds = (121,)
  config.workers = 1
  config.base = 'smollm2'
  config.size = ''  # told by the model
  config.dtype = 'float32'
  config.mesh = blocks.mesh()
  config.trained = 'adapters'
  config.read = 'features'
  config.pad_token = ''  # of the model's vocabulary, where it names none
  config.data = dict(
    source='hh', path='../shared/data', on_error='skip', split_seed=0
  )
  config.reading = blocks.reading()
  config.features = blocks.features()
  config.adapters = blocks.adapters()
  config.pm = dict(
    pairs=0,  # of each half; 0: all of it
    mixture_pairs=0,
    calibration_pairs=400,
    single_pairs=300,
    epochs=3,
    batch_size=8,
    microbatches=2,
    learning_rate=2e-3,
    lr_multiple=1.0,
    schedule='decay',
    schedule_shape='linear',
    warmup=0.1,
    b2=0.98,
    average_eta=-1.0,  # below 0: no average, the last parameters
    curve_points=1,
    curve_eval_pairs=0,  # 0: all
    final_eval_pairs=-1,  # -1: all
    eval_batch=8,
    log_every=5,
    checkpoint_every=25,
  )
  config.rl = dict(
    max_prompt=64,
    max_reply=32,
    pm_pairs=400,  # of each PM, for the tables
    iterations=16,
    batch_size=16,
    minibatch_size=16,
    microbatches=1,
    scoring_parts=1,
    prompt_buckets=(),
    passes=1,
    temperature=1.0,
    learning_rate=3e-3,
    lr_multiple=1.0,
    value_lr_ratio=0.3,
    warmup_iterations=1,
    b2=0.95,
    clip=0.2,
    value_clip=0.0,  # 0: no clipping
    kl_coef=0.001,
    discount=1.0,
    gae_lambda=0.95,
    truncation_penalty=0.0,
    eval_prompts=24,
    eval_batch=24,
    pi0_samples=2,
    dense_iterations=16,
    dense_every=2,
    sparse_every=4,
    log_every=1,
    checkpoint_every=4,
  )
  config.hhh = dict(
    max_prompt=128,
    max_answer=96,
    system_tokens=96,  # room for the HHH prompt
    edges=(112, 160),
    batch_size=4,
  )
  config.claims = dict(rl_requires_test_pm=True)
  return config


PRESETS = {f.__name__: f for f in (smoke, null, hh, gpu, smollm2)}
PRESETS |= {'micro': base}


def get_config(preset='micro'):
  """Config of a preset: smoke, micro, null, hh, gpu or smollm2."""
  if preset not in PRESETS:
    raise ValueError(
      f'unknown preset {preset!r}: one of {", ".join(sorted(PRESETS))}'
    )
  return PRESETS[preset]()
