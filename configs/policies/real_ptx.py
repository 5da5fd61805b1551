"""What PPO of SmolLM2 costs on plain text, and pretraining text mixed in.

    python -m experiments.reproduce \
        --config=configs/reproduce.py:smollm2_policies \
        --config.themes=real_ptx --config.data.path=DATA --workdir=DIR

What: Ouyang et al. 2022, section 4.2 and appendix E.6, the real twin of claim
58. The run of PPO is that of the study smollm2_rl; beside it the same with the
loss of ten books and 300 web pages added, coefficient 1, a row of text a reply,
and the same with a KL coefficient of .02, InstructGPT's, in place of .001. All
policies and pi_0 then read 100 documents of these files that no run has read.
Coefficients were not tuned: 1 is that of configs/chapters/instruct.py. One seed
decides no claim.
"""

from configs import blocks


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  recipe = blocks.chapters()['instruct'].recipe()
  return dict(
    real_ptx=dict(
      rl_seeds=1,
      ptx_coef=1.0,
      kl_coef=0.02,
      texts=('text_gutenberg', 'text_misc/c4_demo.jsonl.gz'),
    ),
    instruct_rl=blocks.shared(config.rl, *config.rl) | recipe,
    text_loss=blocks.shared(config, 'pad_token', *blocks.ARITHMETIC)
    | dict(
      role=blocks.to_set(str),
      seed=blocks.to_set(int),
      half=blocks.to_set(str),
      writer_names=blocks.to_set(tuple),
      writer_dirs=blocks.to_set(tuple),
      texts=blocks.to_set(tuple),
      documents=100,
    ),
  )


def small(config):
  """Cuts it down for a smoke test."""
  config.text_loss.documents = 2
