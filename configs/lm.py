"""Stage 2: one language model, the largest of the study.

    python -m experiments.train_lm --config=configs/lm.py --workdir=DIR

What: next-token loss on every token of the texts of stage 1, Adam, cosine decay
to zero. learning_rate 0 takes the rate of the rung. With `pack` the texts of a
batch share fewer rows, which leaves its gradient as it is. A `mesh` of more
than one device cuts rows and parameters over all devices of the process.
Presets: the study's.

    python -m experiments.train_lm --config=configs/lm.py:sft --workdir=DIR

The preset sft finetunes SmolLM2-135M-Instruct on the replies of demonstrations
(configs/demonstrations.py:files): adapters of its last blocks. It starts from
the Instruct weights, which have seen demonstrations before; the base model is
not at hand. Not run at this size yet.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from configs import blocks


def get_config(preset='micro'):
  """Config of a preset of the study, or of finetuning on demonstrations."""
  if preset == 'sft':
    return sft()
  study, config, root = blocks.stage('lm', preset)
  config.text_dir, config.size = f'{root}/text', study.scaling.sizes[-1]
  return config


def sft():
  """Adapters of SmolLM2, on demonstrations in its own chat template."""
  _, config, _ = blocks.stage('sft', 'full')
  config.text_dir, config.base, config.size = (
    'runs/demonstrations',
    'smollm2',
    '',
  )
  config.trained, config.seed, config.rm_dir = 'adapters', 0, ''
  config.data.update(source='files')
  config.max_prompt, config.max_reply = 96, 96
  config.update(epochs=2, batch_size=8, samples=16, learning_rate=5e-4)
  config.update(log_every=10, checkpoint_every=50)
  return config
