"""What sections of several configs share, each value in one place.

A section of a study is what one of its stages is told (`configs/stages.py`).
What a study says once (`common`) is referred to by its sections, so that
--config.dtype=bfloat16 or --config.data.path=DIR reach all of its stages.
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


def chapters(folder='chapters'):
  """{name: module} of a folder here, a file a theme, in order of name.

  Each has `sections(config)`, a dict of what the theme adds to the config of a
  study (its own settings, under its name, and the sections of stages that only
  it runs), and `small(config)`, which cuts them down for a smoke test.

  Args:
    folder: 'chapters', of the simulated worlds, or 'policies', of a real model.
  """
  found = sorted(Path(__file__).with_name(folder).glob('[a-z]*.py'))
  return {
    file.stem: importlib.import_module(f'configs.{folder}.{file.stem}')
    for file in found
  }


def base_tranche(study, root):
  """Folder of the base tranche of online training (`studies/online.py`)."""
  own = study.online.size != study.comparisons.lm_size
  return f'{root}/online/comparisons' if own else f'{root}/comparisons'


def start(config, study, root):
  """Sets where a preset of a stage finds what earlier stages have written."""
  config.feature_folder = f'{root}/features'
  if 'comparisons' in study:
    config.comparisons_dir = f'{root}/comparisons'
  if not study.base:
    config.base = f'{root}/lm/' + config.get_ref('size')


def watch(config, root, size=None, subset='mix'):
  """Names the study's train PM and test PM, of the config's seed.

  Args:
    config: of a stage.
    root: folder of the study.
    subset: of the pairs that both are trained on.
    size: rung of both; None: the config's pm_size. One that only the base knows
      is in no name.
  """
  if size is None:
    size = '-' + config.get_ref('pm_size') if config.pm_size else ''
  else:
    size = f'-{size}'
  seed = config.get_ref('seed').to_str()
  config.train_pm_dir = f'{root}/pm/scaling' + size + f'-{subset}-a-s' + seed
  config.test_pm_dir = f'{root}/pm/rl' + size + f'-{subset}-b-s' + seed


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


def ref(config, key):
  """A reference to a value of the study, for a section that shares it.

  What is set in the section is set in the study, and so everywhere; but a
  section may have an arithmetic of its own: `--config.pm.matmul=bf16_f32`
  leaves the language models as they are, `--config.matmul=bf16_f32` does not.
  """
  found = config.get_ref(key)
  return found.to_str() if key in ARITHMETIC else found


def shared(config, *keys):
  """Those sections of a study, and references to its other values."""
  values = {key: config[key] for key in keys}
  return {
    key: value
    if isinstance(value, ml_collections.ConfigDict)
    else ref(config, key)
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
