"""Context distillation of SmolLM2 into itself (Bai et al. 2022, App. A.1).

    python -m experiments.reproduce \
        --config=configs/reproduce.py:smollm2_policies \
        --config.themes=real_distillation --config.data.path=DATA --workdir=DIR

What: SmolLM2 with our HHH prompt (rlhf_jax/text/hhh.py) as its system prompt
teaches SmolLM2 with the system prompt of its own template. Half of the texts
are generic, books and web pages in turn, as words of a first human turn; half
are questions of Stack Exchange with the answer of most votes. Of every token
behind the prompt the teacher's 50 largest log-probabilities are kept and one
bucket; adapters of the last four blocks follow them, 32 texts a step, each text
once, the rate falling to 0. Documents that are held out (one in ten,
docs/instructgpt.md) are no part of it. The rate of the paper, .05 of that of
pretraining, is for whole models: 1e-3 is the one at which PPO trains such
adapters, and was not tuned.
"""

from configs import blocks


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  theme = blocks.chapters()['distillation']
  base = blocks.shared(config, 'base', 'pad_token')
  return dict(
    real_distillation=dict(seeds=1),
    targets=base
    | blocks.shared(config, 'data', *blocks.ARITHMETIC)
    | dict(
      seed=blocks.to_set(int),
      generic=('text_gutenberg', 'text_misc/c4_demo.jsonl.gz'),
      questions='stackexchange_kwise/questions.jsonl.gz',
      texts=2560,
      heldout_texts=96,
      max_prompt=96,  # of a question, the template's tokens among them
      max_reply=64,
      top=50,
      eval_batch=4,
    ),
    distil=theme.distil(config)
    | base
    | blocks.shared(config, 'trained', 'adapters')
    | dict(
      steps=80,
      microbatches=16,
      learning_rate=1e-3,
      eval_batch=4,
      log_every=1,
      checkpoint_every=8,
    ),
  )


def small(config):
  """Cuts it down for a smoke test."""
  config.targets.update(texts=16, heldout_texts=4, eval_batch=2)
  config.distil.update(steps=3, batch_size=4, microbatches=2, eval_batch=2)
  config.distil.checkpoint_every = 2
