"""SmolLM2 finetuned on demonstrations of people (Ouyang et al. 2022, App. C.1).

    python -m experiments.reproduce \
        --config=configs/reproduce.py:smollm2_policies \
        --config.themes=real_sft --config.data.path=DATA --workdir=DIR

What: 800 instructions with a reply, from people of Databricks and from the
training side of HH (sft_dolly_hhrlhf_small), a tenth of them held out; none is
of an evaluation set, and no prompt is a turn of the two files of HH pairs.
Adapters of the last four blocks learn the replies alone, in the chat template,
three epochs at a rate that falls to a tenth. After each epoch stand the loss on
held-out replies and the score of the model's own replies under the helpful head
of half a. The epoch of least loss is kept; the one of the best score is named
beside it, and all lie in snapshots/.

Other sets: --config.demos.data.path=DATA/sft_gpteacher (roles and code, by a
model) or DATA/sft_alpaca_5k (by a model, not for commerce).
Nothing was tried: the rate is that of configs/lm.py:sft.
"""

from configs import blocks

LENGTHS = dict(max_prompt=96, max_reply=96)
FOLDER = 'sft_dolly_hhrlhf_small'


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  theme = blocks.chapters()['demonstrations']
  base = blocks.shared(config, 'base', 'pad_token')
  files = config.data.get_ref('path') + f'/{FOLDER}'
  return dict(
    real_sft=dict(sft_seeds=1),
    demos=theme.demos(config)
    | LENGTHS
    | base
    | dict(
      text_dir='',
      data=dict(source='files', path=files, on_error='skip', split_seed=0),
      demonstrations=800,
      test_fraction=0.1,
    ),
    sft=theme.sft(config)
    | LENGTHS
    | base
    | blocks.shared(config, 'trained')
    | dict(
      epochs=3,
      batch_size=8,
      learning_rate=5e-4,
      samples=48,
      log_every=10,
      checkpoint_every=25,
    ),
  )


def small(config):
  """Cuts it down for a smoke test."""
  config.demos.demonstrations = 40
  config.sft.update(epochs=2, batch_size=4, samples=4, checkpoint_every=4)
