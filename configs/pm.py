"""Stage 4: one preference model, the largest of the learning curve.

    python -m experiments.train_pm --config=configs/pm.py --workdir=DIR

What: the pairwise loss of Bai et al. 2022, section 3, one epoch, from the
language model of its size. The learning rate is a multiple of the language
model's. `half` is a, b or all; `train_subset` is mix, helpful or harmless;
`schedule` names the rate's course in the tables, `schedule_shape` sets it
(constant or linear). Presets: the study's.

    python -m experiments.train_pm --config=configs/pm.py:smollm2 --workdir=DIR

The preset smollm2 is the train PM of the study of that name, adapters and a
head over SmolLM2-135M-Instruct, on the real HH pairs in data.path. `base` may
be another imported model, with a `pad_token` where its tokenizer names none:
'<|padding|>' for Pythia. `features` are those of the frozen blocks, kept in
`feature_folder`; `edges` are the columns of their length buckets.

    python -m experiments.train_pm --config=configs/pm.py:pairs \
        --config.data.path=FILE_OR_FOLDER --workdir=DIR

The preset pairs is the same for pairs of one's own (docs/own-pairs.md): all of
them, and the model is written for transformers, into DIR/model. The preset
kwise is of rankings of K replies to a prompt, the first model of the theme
kwise; rankings is adapters over SmolLM2 from rankings of one's own, the file
data.path, shifted by demonstrations of demonstrations_path (docs/kwise.md).
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='micro'):
  """Config of a preset of the study, or of pairs of one's own."""
  if preset == 'pairs':
    return own_pairs()
  if preset == 'kwise':
    return of_rankings()
  if preset == 'rankings':
    return own_rankings()
  study, config, root = blocks.stage('pm', preset)
  block = study.scaling
  config.role, config.half = 'scaling', 'a'
  config.train_subset = study.get('subset', 'mix')
  config.seed, config.size = study.seeds[0], block.sizes[-1]
  config.curve_points = block.curve_points
  config.final_eval_pairs = block.final_eval_pairs
  rung = '_' + config.size.replace('.', '_')
  config.lr_multiple *= study.pm_lr_multiples.get(rung, 1.0)
  blocks.start(config, study, root)
  return config


def own_pairs():
  """Adapters over SmolLM2 from pairs of one's own, and what comes of them."""
  config = get_config('smollm2')
  config.data.update(source='pairs', path='', on_error='raise')
  config.reading.train_pairs = 0
  config.half, config.export = 'all', 'model'
  config.feature_folder = 'runs/features'
  return config


def own_rankings():
  """Adapters over SmolLM2 from rankings of one's own."""
  config = own_pairs()
  config.loss, config.read, config.half = 'kwise', 'tokens', 'all'
  config.data.source = 'rankings'
  config.update(batch_size=4, microbatches=4, eval_batch=2, export='')
  config.update(demonstrations_path='', demonstrations_count=256)
  return config


def of_rankings():
  """A preference model of the rankings of the study full, one epoch."""
  study, config, root = blocks.stage('kwise_pm', 'full')
  config.loss, config.epochs, seed = (
    'kwise',
    study.kwise.epochs[0],
    study.seeds[0],
  )
  config.role, config.half = f'ranked_kwise_{config.epochs}', 'all'
  config.train_subset, config.seed, config.size = 'mix', seed, study.kwise.size
  rung = '_' + config.size.replace('.', '_')
  config.lr_multiple *= study.pm_lr_multiples[rung] * study.decayed.lr_ratio
  blocks.start(config, study, root)
  config.comparisons_dir = f'{root}/rankings/s{seed}'
  return config
