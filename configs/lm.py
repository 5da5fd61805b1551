"""Stage 2: one language model, the largest of the study.

    python -m experiments.train_lm --config=configs/lm.py --workdir=DIR

What: next-token loss on every token of the texts of stage 1, Adam, cosine decay
to zero. learning_rate 0 takes the rate of the rung. With `pack` the texts of a
batch share fewer rows, which leaves its gradient as it is. A `mesh` of more
than one device cuts rows and parameters over all devices of the process.
Presets: micro and smoke, as in the study.
"""

import ml_collections


def get_config(preset='micro'):
  """Config of a preset: micro or smoke."""
  if preset not in ('micro', 'smoke'):
    raise ValueError(f'unknown preset {preset!r}: one of micro, smoke')
  root = {'micro': 'runs/reproduce', 'smoke': 'runs/reproduce-smoke'}[preset]
  config = ml_collections.ConfigDict()
  config.text_dir = f'{root}/text'
  config.data = dict(
    source='simulated', path='', on_error='raise', split_seed=0
  )
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
  config.max_prompt = 24
  config.max_reply = 28
  config.size = '197K'
  config.seed = 0
  config.steps = 1600
  config.batch_size = 64
  config.microbatches = 4
  config.pack = True  # several texts a row: the same gradient, fewer rows
  config.learning_rate = 0.0
  config.warmup = 0.05  # of the steps
  config.b2 = 0.98
  config.weight_decay = 0.01
  config.samples = 512  # replies whose mean gold is reported
  config.log_every = 50
  config.checkpoint_every = 1000
  if preset == 'smoke':
    config.max_reply = 24
    config.size = '13K'
    config.steps = 150
    config.samples = 64
    config.checkpoint_every = 100
  return config
