r"""Demonstrations for supervised finetuning, of the simulated world's experts.

    python -m experiments.make_demonstrations \
        --config=configs/demonstrations.py --workdir=DIR

What: prompts as they are asked, each with an expert's reply; a quarter of the
prompts is held out. Presets: full and full_smoke, the studies that have this
stage.

    python -m experiments.make_demonstrations \
        --config=configs/demonstrations.py:files \
        --config.data.path=FILE_OR_FOLDER --workdir=DIR

The preset files reads instructions and replies of others, such as
`../shared/data/sft_gpteacher`, with the tokenizer and the chat template of
SmolLM2-135M-Instruct. Rows that are malformed are left out and counted.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='full'):
  """Config of a preset of the study, or of files."""
  if preset == 'files':
    return of_files()
  _, config, root = blocks.stage('demos', preset)
  config.text_dir = f'{root}/text'
  return config


def of_files():
  """Instructions and replies of others, in the tokens of SmolLM2."""
  config = get_config('full')
  config.text_dir, config.base = '', 'smollm2'
  config.data.update(source='files', on_error='skip')
  config.max_prompt, config.max_reply = 96, 96
  config.demonstrations, config.test_fraction = 1000, 0.1
  return config
