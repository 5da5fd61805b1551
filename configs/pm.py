"""Stage 4: one preference model, the largest of the learning curve.

    python -m experiments.train_pm --config=configs/pm.py --workdir=DIR

What: the pairwise loss of Bai et al. 2022, section 3, one epoch, from the
language model of its size. The learning rate is a multiple of the language
model's. `half` is a, b or all; `train_subset` is mix, helpful or harmless;
`schedule` names the rate's course in the tables, `schedule_shape` sets it
(constant or linear). Presets: micro and smoke, as in the study.

    python -m experiments.tune_pm --config=configs/pm.py:smollm2 --workdir=DIR

smollm2 is another stage's: the train PM of the study of that name, adapters
and a head over SmolLM2-135M-Instruct, on the real HH pairs in data.path.
`model` may be another imported model, with a `pad_token` where its tokenizer
names none: '<|padding|>' for Pythia. `features` are those of the frozen
blocks, kept in `feature_folder`; `edges` are the columns of their length
buckets.
"""

import ml_collections

from configs import blocks


def smollm2():
  """Half a of the comparisons, as in the study."""
  config = ml_collections.ConfigDict()
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
  config.comparisons_dir = ''  # '': the released pairs of data.path
  config.feature_folder = 'runs/reproduce-smollm2/features'
  config.adapters = blocks.adapters()
  config.role = 'scaling'
  config.seed = 121
  config.half = 'a'
  config.train_subset = 'mix'
  config.pairs = 0  # at most so many; 0: all of the half and subset
  config.epochs = 3
  config.batch_size = 8
  config.microbatches = 2
  config.learning_rate = 2e-3
  config.lr_multiple = 1.0
  config.schedule = 'decay'
  config.schedule_shape = 'linear'
  config.warmup = 0.1  # of the steps
  config.b2 = 0.98
  config.average_eta = -1.0  # below 0: no average, the last parameters
  config.curve_points = 1
  config.curve_eval_pairs = 0  # 0: all
  config.final_eval_pairs = -1  # -1: all
  config.eval_batch = 8
  config.log_every = 5
  config.checkpoint_every = 25
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
  config.read = 'tokens'
  config.adapters = blocks.adapters()
  config.reading = blocks.reading()
  config.features = blocks.features()
  config.feature_folder = f'{root}/features'
  config.dtype = 'float32'
  config.mesh = dict(data=1, fsdp=1, model=1)  # devices along each axis
  config.role = 'scaling'
  config.size = '197K'
  config.seed = 120
  config.half = 'a'
  config.train_subset = 'mix'
  config.pairs = 12288
  config.epochs = 1
  config.batch_size = 32
  config.microbatches = 4
  config.learning_rate = 0.0  # 0: the rung's, times lr_multiple
  config.lr_multiple = 0.3
  config.schedule = 'constant'
  config.schedule_shape = 'constant'
  config.warmup = 0.02  # of the steps
  config.b2 = 0.98
  config.average_eta = 8.0  # of the average of the parameters along the run
  config.curve_points = 6
  config.curve_eval_pairs = 2048
  config.eval_batch = 32  # pairs a call; few fit a CPU's cache
  config.final_eval_pairs = 4096  # test pairs whose scores are kept
  config.log_every = 20
  config.checkpoint_every = 400
  if preset == 'smoke':
    config.size = '13K'
    config.seed = 0
    config.pairs = 768
    config.lr_multiple = 0.3
    config.curve_points = 5
    config.curve_eval_pairs = 512
    config.checkpoint_every = 100
  config.comparisons_dir = f'{root}/comparisons'
  config.base = f'{root}/lm/' + config.get_ref('size')
  return config
