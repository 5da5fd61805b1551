"""Supervised finetuning on demonstrations (Ouyang et al. 2022, App. C.1).

    python -m experiments.reproduce --config=configs/reproduce.py:full \
        --config.themes=demonstrations --workdir=DIR

What: experts of the world answer prompts; language models of every size learn
their replies alone, 8 epochs at a rate that falls to a tenth by a cosine. After
each epoch the loss on held-out demonstrations and the score of the model's own
replies under the largest preference model of the study are written down, and
the one of least loss is kept (the paper chose by score, and trained 16 epochs
with dropout, of which there is none here). PPO of the smallest policy then
starts from its finetuned model, under the PMs of headline.

lr_multiple is of the rate at which the rung was pretrained, a guess: the paper
has .05 of it, for far larger models. Nothing was tried by what PPO gives.

Time: 18 minutes by estimate after headline, of which PPO takes 9. Its policies
are those of headline but for where they start, lambda of GAE of .95 included.
"""

from configs import blocks, stages


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  return dict(
    demonstrations=dict(
      sizes=('3K', '13K', '42K', '197K'),
      sft_seeds=5,  # the first of the study
      # Where PPO's policy starts: 'sft', or 'lm' as in headline.
      pi0='sft',
      rl_size='13K',
      rl_seeds=5,
    ),
    demos=demos(config),
    sft=sft(config),
  )


def demos(config):
  """Section of `make_demonstrations`."""
  keys = ('data', 'world', 'max_prompt', 'max_reply', *blocks.ARITHMETIC)
  found = {
    key: config[key] if key in keys[:2] else blocks.ref(config, key)
    for key in keys
  }
  return found | dict(
    text_dir=blocks.to_set(str),
    base='',  # whose tokenizer it is, where there is no text_dir
    pad_token='',
    seed=0,
    demonstrations=4096,
    test_fraction=0.25,
  )


def sft(config):
  """Section of `train_lm` for demonstrations."""
  found = stages.lm(config)
  del found['steps']
  return found | dict(
    objective='demonstrations',
    base=blocks.to_set(str),
    pad_token='',
    trained='all',
    adapters=config.adapters,
    role='sft',
    half='all',
    seed=blocks.to_set(int),
    epochs=8,
    batch_size=32,  # the paper's
    microbatches=1,
    lr_multiple=0.3,
    final_rate=0.1,  # the paper's
    warmup=0.0,  # the paper's
    choose_by='validation_loss',
    rm_dir=blocks.to_set(str),
    checkpoint_every=96,
  )


def small(config):
  """Cuts it down for a smoke test."""
  config.demonstrations.update(sizes=('3K', '13K'), sft_seeds=2, rl_size='3K')
  config.demonstrations.rl_seeds = 1
  config.demos.demonstrations = 400
  config.sft.update(epochs=3, samples=64, checkpoint_every=10, log_every=5)
