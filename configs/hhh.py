"""The HHH comparisons of Askell et al. 2021, judged zero-shot.

    python -m experiments.evaluate_hhh --config=configs/hhh.py --workdir=DIR

What: an imported chat model as it is, the same with an HHH prompt, and the
preference models in pm_dirs, if any, named in pm_names. The data are for
evaluation alone. Preset: smollm2, as in the study of that name, with its
first two preference models.
"""

import ml_collections


def get_config(preset='smollm2'):
  """Config of a preset: smollm2."""
  if preset != 'smollm2':
    raise ValueError(f'unknown preset {preset!r}: one of smollm2')
  config = ml_collections.ConfigDict()
  config.base = 'smollm2'
  config.size = ''  # told by the model
  config.dtype = 'float32'
  config.pad_token = ''  # of the model's vocabulary, where it names none
  config.data = dict(
    source='hh', path='../shared/data', on_error='skip', split_seed=0
  )
  config.max_prompt = 128
  config.max_answer = 96
  config.system_tokens = 96  # room for the HHH prompt
  config.edges = (112, 160)
  config.batch_size = 4
  names = ('scaling-mix-a', 'rl-mix-b')
  config.pm_names = names
  config.pm_dirs = tuple(
    f'runs/reproduce-smollm2/pm/{name}-s121' for name in names
  )
  config.role = 'hhh'
  config.seed = 121
  config.half = 'all'
  return config
