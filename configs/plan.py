"""Planning: what a rung of the paper's ladder needs of a machine not at hand.

    python -m experiments.plan --config=configs/plan.py --topology=v5p:8x8x8 \
        --rung=52B

What: the preference-model step and the PPO iteration of Bai et al. 2022,
compiled ahead of time for TPU topologies from shapes alone. The paper states
neither vocabulary nor batch sizes: 65,536 tokens, 256 pairs of 1,024 tokens,
512 prompts of 512 tokens with replies of up to 128 (the paper's cap), all
of them in one update. The study of one rung is one preference model on
the static comparisons (96k helpful and 44k harmless, one epoch) and one PPO
run of 200k samples, as far as the paper's figures go. Of every rung a one-layer
and a two-layer model are compiled and the rest is extrapolated; those in
`checked` are compiled at a further depth too, which says how good that is.
Preset: paper.
"""

import ml_collections


def get_config(preset='paper'):
  """Config of a preset: paper."""
  if preset != 'paper':
    raise ValueError(f'unknown preset {preset!r}: one of paper')
  config = ml_collections.ConfigDict()
  config.job = dict(
    vocab_size=65536,
    dtype='bfloat16',
    remat=True,
    pm_pairs=256,
    pm_length=1024,
    prompts=512,
    prompt_length=512,
    reply_length=128,
  )
  config.study = dict(
    pm_pairs=140_000,
    ppo_samples=200_000,
    share_of_bound=0.5,  # of the roofline's speed, for hours to reckon with
  )
  config.gpu = dict(
    bytes=80e9,
    usable=0.9,  # the rest: CUDA context, fragmentation
    train_rows=2,  # sequences a GPU differentiates at once: one pair
    decode_rows=64,  # replies a GPU samples at once
  )
  config.checked = (  # (rung, layers, programs); 13M has 4
    ('13M', 4, ('pm_step',)),
    ('13B', 4, ('pm_step',)),
    ('52B', 4, ('pm_step',)),
  )
  config.tolerance = 0.05  # XLA's FLOPs against the analytic count
  return config
