"""Sections that several configs share, each with its values in one place.

The section of a stage is complete: it has every key that the stage reads. Keys
that are `to_set` have no value until a theme, a seed or another stage gives
them one. What a study says once (`common`) is referred to by its sections, so
that --config.dtype=bfloat16 or --config.data.path=DIR reach all of its stages.
"""

import importlib
import importlib.util
from pathlib import Path

import ml_collections

to_set = ml_collections.config_dict.placeholder
ARITHMETIC = ('dtype', 'matmul')


def study(preset):
  """The config of a study, from its file beside this one."""
  file = Path(__file__).with_name('reproduce.py')
  spec = importlib.util.spec_from_file_location('configs_reproduce', file)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(preset)


def stage(name, preset):
  """(a study, its section `name` as a config of its own, the study's folder).

  What `smollm2` lacks is that of `smollm2_full`, in the folder of the former.

  Raises:
    ValueError: if there is no such preset, or it has no such stage.
  """
  found = study(preset)
  if name not in found and preset == 'smollm2':
    found = study('smollm2_full')  # the same models, adapted
  if name not in found:
    raise ValueError(f'the study {preset!r} has no {name}: choose another')
  root = 'runs/reproduce' + ('' if preset == 'micro' else f'-{preset}')
  return found, ml_collections.ConfigDict(found[name].to_dict()), root


def chapters():
  """{name: module} of configs/chapters, a file a theme, in order of name.

  Each has `sections(config)`, a dict of what the theme adds to the config of a
  study (its own settings, under its name, and the sections of stages that only
  it runs), and `small(config)`, which cuts them down for a smoke test.
  """
  found = sorted(Path(__file__).with_name('chapters').glob('[a-z]*.py'))
  return {
    file.stem: importlib.import_module(f'configs.chapters.{file.stem}')
    for file in found
  }


def start(config, study, root):
  """Sets where a preset of a stage finds what earlier stages have written."""
  config.feature_folder = f'{root}/features'
  if 'comparisons' in study:
    config.comparisons_dir = f'{root}/comparisons'
  if not study.base:
    config.base = f'{root}/lm/' + config.get_ref('size')


def common(world_name='classic'):
  """What all stages of a study share; `world_name` is one of WORLDS."""
  return dict(
    dtype='float32',
    matmul='float32',  # or bf16_f32, where there are matrix units
    # Devices of a run; all 1: no mesh, any number of workers.
    mesh=dict(data=1, fsdp=1, model=1),
    base='',  # of models; '': the study's own language models
    pad_token='',  # of the base's vocabulary, where it names none
    trained='all',
    adapters=adapters(),
    reading=reading(),
    data=dict(source='simulated', path='', on_error='raise', split_seed=0),
    null=False,  # coin-flip labels, hashed rewards
    **WORLDS[world_name](),
  )


def _shared(config, *keys):
  """Those sections of a study, and references to its other values."""
  values = {key: config[key] for key in keys}
  return {
    key: value
    if isinstance(value, ml_collections.ConfigDict)
    else config.get_ref(key)
    for key, value in values.items()
  }


def classic():
  """The first world, and the lengths of its texts in tokens.

  Chosen on development seeds: with the defaults of its WorldConfig the
  preference models stay at .61 on helpful pairs and all sizes are alike. Here
  right answers weigh more, tones are milder, and their sum does not saturate.
  """
  world = dict(
    name='classic',
    seed=0,
    correctness_weight=3.0,
    style_cap=8.0,
    tone_sd=0.3,
    interaction_sd=0.2,
    harmless_style=0.1,
    temperature=0.8,
  )
  return dict(world=world, max_prompt=24, max_reply=28)


def parts():
  """The world of parts, and the lengths of its texts (docs/worlds.md)."""
  world = dict(
    name='parts',
    seed=0,
    item=1.0,
    field=1.0,
    taste_sd=0.5,
    step=0.5,
    harmless_taste=0.5,
    right_low=0.3,
    right_high=0.5,
    temperature=1.0,
  )
  return dict(world=world, max_prompt=40, max_reply=72)


WORLDS = {'classic': classic, 'parts': parts}


def adapters():
  """Low-rank changes of the last blocks (Hu et al. 2021)."""
  return dict(
    layers=4,
    rank=8,
    alpha=16.0,
    targets=(
      'attention/qkv/kernel',
      'attention/out/kernel',
      'mlp/in/kernel',
      'mlp/out/kernel',
    ),
  )


def reading():
  """How released pairs are read where no stage has before."""
  return dict(
    max_prompt=128,
    max_reply=64,
    test_fraction=0.1,  # where nothing is held out already
    held_out='test',  # files of one's own pairs to test on, or 'validation'
    train_pairs=800,  # whose features are kept; 0: all
    test_pairs=10000,  # likewise
    coin_flip_labels=False,  # for a null study
  )


def text(config):
  """Section of `make_text`."""
  keys = ('data', 'world', 'test_fraction', 'max_prompt', 'max_reply')
  return _shared(config, *keys) | dict(
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
  keys = ('data', 'world', 'mesh', 'max_prompt', 'max_reply', *ARITHMETIC)
  return _shared(config, *keys) | dict(
    text_dir=to_set(str),
    size=to_set(str),
    seed=0,
    steps=1600,
    batch_size=64,
    microbatches=4,
    pack=True,  # several texts a row: the same gradient, fewer rows
    learning_rate=0.0,  # 0: the rung's
    warmup=0.05,  # of the steps
    b2=0.98,
    weight_decay=0.01,
    samples=512,  # replies whose mean gold is reported
    log_every=50,
    checkpoint_every=1000,
    on_nonfinite='stop',  # 'skip': leaves such a batch out, and counts it
  )


def comparisons(config):
  """Section of `make_comparisons`."""
  keys = ('data', 'world', 'test_fraction', 'max_prompt', 'max_reply')
  return _shared(config, *keys, *ARITHMETIC) | dict(
    coin_flip_labels=config.get_ref('null'),
    text_dir=to_set(str),
    lm_size='197K',
    lm_dir=to_set(str),
    seed=200,
    pairs=47000,
    sample_batch=512,
  )


def trained_model(config):
  """What sections of `train_pm` and `train_ppo` have in common."""
  keys = ('base', 'pad_token', 'mesh', 'trained', 'adapters', *ARITHMETIC)
  return _shared(config, *keys, 'data', 'reading') | dict(
    # '': the released pairs of data.path.
    comparisons_dir=to_set(str) if 'comparisons' in config else '',
    feature_folder=to_set(str),
    role=to_set(str),
    size=to_set(str),  # rung; '': told by the base
    seed=to_set(int),
    half=to_set(str),
    learning_rate=0.0,  # 0: the rung's, times lr_multiple
    on_nonfinite='stop',  # 'skip': leaves such a batch out, and counts it
  )


def pm(config):
  """Section of `train_pm`."""
  return trained_model(config) | dict(
    read='tokens',
    # Length buckets of cached features, and tokens a batch.
    features=dict(edges=(112, 176, 272), tokens=1024),
    # Of read='pooled'.
    head=pooled()['head'] | dict(conditional=False),
    train_subset=to_set(str),
    pairs=12288,  # at most so many; 0: all of the half and subset
    epochs=1,
    batch_size=32,
    microbatches=4,
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
  keys = ('base', 'pad_token', *ARITHMETIC, 'data', 'reading')
  return (
    _shared(config, *keys)
    | pooled()
    | dict(
      comparisons_dir='',
      feature_folder=to_set(str),
      role=to_set(str),
      size=to_set(str),
      seed=to_set(int),
      half=to_set(str),
      models=('helpful', 'harmless', 'mix', 'conditional'),
      draws=3,  # of the folds
      folds=5,
      pairs=(50, 100, 200, 400, 800, 1600),  # besides all there are
    )
  )


def rl(config):
  """Section of `train_ppo`."""
  shared = _shared(config, 'world', 'max_prompt', 'max_reply')
  return (
    trained_model(config)
    | shared
    | dict(
      hashed_rewards=config.get_ref('null'),
      train_pm_dir=to_set(str),
      test_pm_dir=to_set(str),
      value_pm_dir=to_set(str),  # '': the base with a zero head
      pm_size=to_set(str),  # '': told by the train PM
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
    )
  )


def frontier():
  """Section of `frontier`, which follows an RL run.

  2,048 replies to a prompt reach to sqrt(KL) = 1.8 or so, where 20 of them
  carry what is left; twice as many would reach to 2.
  """
  return dict(run_dir=to_set(str), prompts=64, replies=2048)


def lacking(config, *makers):
  """{name: section} of those that a config does not have from a chapter before.

  Args:
    config: of a study.
    *makers: functions here that have the names of their sections.
  """
  return {f.__name__: f() for f in makers if f.__name__ not in config}


def pm_sizes():
  """Section of long runs under PMs of several sizes (`runs_by_pm_size`)."""
  return dict(sizes=('3K', '13K', '42K'))  # besides that of robustness


def replies():
  """Section of `score_replies`: few replies to many prompts."""
  return dict(
    policy_dir=to_set(str),
    pm_dirs=to_set(tuple),
    role=to_set(str),
    seed=to_set(int),
    prompts=512,
    replies=2,
  )


def hhh(config):
  """Section of `evaluate_hhh`."""
  return _shared(config, 'base', 'pad_token', 'data', *ARITHMETIC) | dict(
    size='',  # told by the base
    role='hhh',
    half='all',
    seed=to_set(int),
    pm_names=to_set(tuple),
    pm_dirs=to_set(tuple),
    max_prompt=128,
    max_answer=96,
    system_tokens=96,  # room for the HHH prompt
    edges=(112, 160),
    batch_size=4,
  )
