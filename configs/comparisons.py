"""Stage 3: comparisons of two replies of the largest language model.

    python -m experiments.make_comparisons --config=configs/comparisons.py \
        --workdir=DIR

What: pairs of replies at temperature 1, judged by simulated workers, in the
format of the HH release. coin_flip_labels makes every judgement a coin flip,
for the null study. Presets: micro and smoke, as in the study.
"""

import ml_collections


def get_config(preset='micro'):
  """Config of a preset: micro or smoke."""
  if preset not in ('micro', 'smoke'):
    raise ValueError(f'unknown preset {preset!r}: one of micro, smoke')
  root = {'micro': 'runs/reproduce', 'smoke': 'runs/reproduce-smoke'}[preset]
  config = ml_collections.ConfigDict()
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
  config.seed = 120
  config.test_fraction = 0.29
  config.coin_flip_labels = False
  config.max_prompt = 24
  config.max_reply = 28
  config.lm_size = '197K'
  config.pairs = 47000
  config.sample_batch = 512
  if preset == 'smoke':
    config.max_reply = 24
    config.lm_size = '13K'
    config.pairs = 4000
    config.sample_batch = 256
  config.text_dir = f'{root}/text'
  config.lm_dir = f'{root}/lm/' + config.get_ref('lm_size')
  return config
