"""Stage 1: the texts of the language models, and their tokenizer.

    python -m experiments.make_text --config=configs/text.py --workdir=DIR

What: dialogues by simulated authors of mixed quality and plain text of their
world, cut into rows of max_prompt + max_reply tokens. For the real pairs set
--config.data.source=hh and --config.data.path to their folder. Presets: micro
and smoke, as in the study.
"""

import ml_collections


def get_config(preset='micro'):
  """Config of a preset: micro or smoke."""
  if preset not in ('micro', 'smoke'):
    raise ValueError(f'unknown preset {preset!r}: one of micro, smoke')
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
  config.seed = 0
  config.test_fraction = 0.29
  config.max_prompt = 24
  config.max_reply = 28
  config.vocab_size = 1024
  config.dialogues = 64000
  config.plain_texts = 4000
  config.plain_rows = 0  # 0: all of them
  config.tokenizer_texts = 4000
  config.heldout_dialogues = 512
  if preset == 'smoke':
    config.max_reply = 24
    config.dialogues = 3000
    config.plain_texts = 100
    config.tokenizer_texts = 1000
    config.heldout_dialogues = 200
  return config
