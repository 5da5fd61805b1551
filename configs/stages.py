"""Sections of stages, which studies and presets of one stage share.

A section is complete: it has every key that its stage reads. Keys that are
`to_set` have no value until a theme, a seed or another stage gives them one.
"""

from configs import blocks


def text(config):
  """Section of `make_text`."""
  keys = ('data', 'world', 'test_fraction', 'max_prompt', 'max_reply')
  return blocks.shared(config, *keys) | dict(
    seed=0,
    vocab_size=1024,
    dialogues=64000,
    plain_texts=4000,
    plain_rows=0,  # 0: all of them
    tokenizer_texts=4000,
    heldout_dialogues=512,
  )


def lm(config):
  """Section of `train_lm`."""
  keys = (
    'data',
    'world',
    'mesh',
    'max_prompt',
    'max_reply',
    *blocks.ARITHMETIC,
  )
  return blocks.shared(config, *keys) | dict(
    text_dir=blocks.to_set(str),
    size=blocks.to_set(str),
    seed=0,
    steps=1600,
    batch_size=64,
    microbatches=16,  # of few rows: their logits fit a core's cache
    pack=True,  # several texts a row: the same gradient, fewer rows
    learning_rate=0.0,  # 0: the rung's
    warmup=0.05,  # of the steps
    b2=0.98,
    weight_decay=0.01,
    samples=512,  # replies whose mean gold is reported
    log_every=50,
    checkpoint_every=1000,
    on_nonfinite='stop',  # 'skip': leaves such a batch out, and counts it
    loggers=(),  # besides metrics.jsonl: 'tensorboard', 'wandb', 'mlflow'
  )


def comparisons(config):
  """Section of `make_comparisons`."""
  keys = ('data', 'world', 'test_fraction', 'max_prompt', 'max_reply')
  return blocks.shared(config, *keys, *blocks.ARITHMETIC) | dict(
    coin_flip_labels=config.get_ref('null'),
    text_dir=blocks.to_set(str),
    lm_size='197K',
    lm_dir=blocks.to_set(str),
    seed=200,
    pairs=47000,
    sample_batch=512,
  )


def trained_model(config):
  """What sections of `train_pm` and `train_ppo` have in common."""
  keys = (
    'base',
    'pad_token',
    'mesh',
    'trained',
    'adapters',
    *blocks.ARITHMETIC,
  )
  return blocks.shared(config, *keys, 'data', 'reading') | dict(
    # '': the released pairs of data.path.
    comparisons_dir=blocks.to_set(str) if 'comparisons' in config else '',
    feature_folder=blocks.to_set(str),
    role=blocks.to_set(str),
    size=blocks.to_set(str),  # rung; '': told by the base
    seed=blocks.to_set(int),
    half=blocks.to_set(str),
    learning_rate=0.0,  # 0: the rung's, times lr_multiple
    on_nonfinite='stop',  # 'skip': leaves such a batch out, and counts it
    loggers=(),  # besides metrics.jsonl: 'tensorboard', 'wandb', 'mlflow'
  )


def pm(config):
  """Section of `train_pm`."""
  return trained_model(config) | dict(
    read='tokens',
    # Length buckets of cached features, and tokens a batch.
    features=dict(edges=(112, 176, 272), tokens=1024),
    # Of read='pooled'.
    head=pooled()['head'] | dict(conditional=False),
    train_subset=blocks.to_set(str),
    pairs=12288,  # at most so many; 0: all of the half and subset
    epochs=1,
    batch_size=32,
    microbatches=8,
    lr_multiple=1.0,  # a study has others by rung beside it
    schedule='constant',
    schedule_shape='constant',
    warmup=0.02,  # of the steps
    b2=0.98,
    average_eta=8.0,  # of the average along the run; below 0: no average
    curve_points=1,
    curve_eval_pairs=2048,  # 0: all
    final_eval_pairs=0,  # test pairs whose scores are kept; -1: all
    eval_batch=32,  # pairs a call; few fit a CPU's cache
    log_every=20,
    checkpoint_every=400,
    export='',  # folder in the run's for transformers; '': none
  )


def pooled(layers=()):
  """How a head on pooled features is fitted; sections `features` and `head`.

  Args:
    layers: that are pooled; (): the quarters of the base's depth.
  """
  return dict(
    features=dict(edges=(96, 128, 152, 176, 208, 260), tokens=1024),
    head=dict(
      layers=layers,
      pools=('last', 'mean'),
      joint=2,  # most neighbouring layers whose means are read together
      l2=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
      folds=3,  # of the training pairs, on which layers and penalty are chosen
    ),
  )


def cross_fit(config):
  """Section of `cross_fit`."""
  keys = ('base', 'pad_token', *blocks.ARITHMETIC, 'data', 'reading')
  return (
    blocks.shared(config, *keys)
    | pooled()
    | dict(
      comparisons_dir='',
      feature_folder=blocks.to_set(str),
      role=blocks.to_set(str),
      size=blocks.to_set(str),
      seed=blocks.to_set(int),
      half=blocks.to_set(str),
      models=('helpful', 'harmless', 'mix', 'conditional'),
      draws=3,  # of the folds
      folds=5,
      pairs=(50, 100, 200, 400, 800, 1600),  # besides all there are
    )
  )


def real_mixtures(config):
  """Section of `cross_fit` for shares of helpful to harmless pairs.

  Of each kind some 1,200 pairs lie outside of a fold, enough for 1,000 of each
  of the five, the two specialists among them.
  """
  scan = ('0/100', '25/75', '50/50', '75/25', '100/0')
  return cross_fit(config) | dict(models=scan, pairs=(1000,))


def ranked_sets(sets):
  """Which public rankings are read, and how many of them.

  Args:
    sets: of `experiments/shared/ranked_sets.py`.
  """
  return dict(
    sets=sets,
    most_prompts=1000,  # of each set; 0: all
    most_replies=4,  # to each prompt
  )


def pretrain_heads(config):
  """Section of `pretrain_heads`."""
  found = cross_fit(config) | ranked_sets(('stackexchange', 'posts'))
  found['head']['l2'] += (10.0, 30.0)  # of which the last stays at its centre
  return found | dict(
    models=('helpful', 'harmless', 'mix'), pairs=(100, 300, 1000)
  )


def compare_ranked(config):
  """Section of `compare_ranked`."""
  found = pretrain_heads(config)
  for unused in ('comparisons_dir', 'models', 'pairs'):
    del found[unused]
  return found | ranked_sets(('stackexchange', 'alpaca_eval', 'oasst'))


def rl(config):
  """Section of `train_ppo`."""
  shared = blocks.shared(config, 'world', 'max_prompt', 'max_reply')
  return (
    trained_model(config)
    | shared
    | dict(
      hashed_rewards=config.get_ref('null'),
      train_pm_dir=blocks.to_set(str),
      test_pm_dir=blocks.to_set(str),
      value_pm_dir=blocks.to_set(str),  # '': the base with a zero head
      pm_size=blocks.to_set(str),  # '': told by the train PM
      pm_pairs=0,  # of each PM, for the tables; 0: what it asked for
      temperature=1.0,
      iterations=34,
      passes=2,
      batch_size=256,
      minibatch_size=64,
      microbatches=4,
      scoring_parts=8,
      prompt_buckets=(),  # columns of each length bucket; (): one length
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
      eval_batch=256,  # prompts a call; divides eval_prompts
      pi0_samples=4,  # replies of pi_0 to each held-out prompt
      dense_iterations=32,
      dense_every=2,
      sparse_every=4,
      # Of a study's first seed, for the page: prompts of each family, replies
      # of which the median is shown, and checkpoints; each=0: none.
      shown=dict(each=2, replies=17, snapshots=4),
      log_every=1,
      checkpoint_every=12,
      health=dict(off=(), stop=()),  # signs not said, signs that end the run
    )
  )


def frontier():
  """Section of `frontier`, which follows an RL run.

  2,048 replies to a prompt reach to sqrt(KL) = 1.8 or so, where 20 of them
  carry what is left; twice as many would reach to 2.
  """
  return dict(run_dir=blocks.to_set(str), prompts=64, replies=2048)


def lacking(config, *makers):
  """{name: section} of those that a config does not have from a chapter before.

  Args:
    config: of a study.
    *makers: functions here that have the names of their sections.
  """
  return {f.__name__: f() for f in makers if f.__name__ not in config}


def pm_sizes():
  """Section of long runs under PMs of several sizes (`runs_by_pm_size`)."""
  return dict(
    sizes=('3K', '13K'),  # besides that of robustness
    eval_prompts=256,
    pi0_samples=2,
  )


def replies():
  """Section of `score_replies`: few replies to many prompts."""
  return dict(
    policy_dir=blocks.to_set(str),
    pm_dirs=blocks.to_set(tuple),
    role=blocks.to_set(str),
    seed=blocks.to_set(int),
    prompts=512,
    replies=2,
  )


def hhh(config):
  """Section of `evaluate_hhh`."""
  return blocks.shared(
    config, 'base', 'pad_token', 'data', *blocks.ARITHMETIC
  ) | dict(
    size='',  # told by the base
    role='hhh',
    half='all',
    seed=blocks.to_set(int),
    pm_names=blocks.to_set(tuple),
    pm_dirs=blocks.to_set(tuple),
    max_prompt=128,
    max_answer=96,
    system_tokens=96,  # room for the HHH prompt
    edges=(112, 160),
    batch_size=4,
  )
