"""Rewards from rankings of K replies (Ouyang et al. 2022, 3.5): a chapter.

What: rankings of 4 to 9 replies to each prompt; a preference model of all
comparisons of a prompt together (kwise), of the same comparisons pooled and
shuffled, and of the best reply alone (best_of), by one rate and as many steps;
after one epoch and, each with a course of its own, after two.

    python -m experiments.reproduce --config=configs/reproduce.py:full \
        --config.themes=kwise --workdir=DIR
"""

from configs import blocks, stages


def sections(config):
  """Settings of the theme, of its preference models, and of its stage."""
  return dict(
    kwise=dict(size='42K', epochs=(1, 2)),
    kwise_pm=preference_models(config),
    rankings=rankings(config),
  )


def preference_models(config):
  """Section of `train_pm`: batches of prompts, a cosine, the last parameters.

  A run that ends at a rate of 0 needs no average. Rate and batch were chosen on
  development seed 0 by the held-out loss of `kwise` after one epoch: .652 at
  half of the rung's rate, .682 at all of it, .692 with batches of 16.
  """
  return stages.pm(config) | dict(
    loss=blocks.to_set(str),
    pairs=0,  # rankings are read whole
    epochs=blocks.to_set(int),
    microbatches=4,
    batch_size=4,  # prompts, some 70 comparisons: 128 updates an epoch
    lr_multiple=4.0,  # half of the rung's rate, with the study's multiples
    schedule='decay',
    schedule_shape='cosine',
    average_eta=-1.0,
    curve_points=4,
    curve_eval_pairs=0,
    eval_batch=16,
  )


def rankings(config):
  """Section of `make_rankings`."""
  keys = ('test_fraction', 'max_prompt', 'max_reply', *blocks.ARITHMETIC)
  named = {key: blocks.ref(config, key) for key in keys}
  return named | dict(
    data=config.data,
    world=config.world,
    text_dir=blocks.to_set(str),
    lm_size=blocks.to_set(str),
    lm_dir=blocks.to_set(str),
    seed=blocks.to_set(int),
    prompts=512,
    test_prompts=256,
    least=4,
    most=9,
    tie_step=1.0,
    demonstrations=256,
    sample_batch=512,
  )


def small(config):
  """Cuts it down to a smoke test."""
  config.kwise.size = '13K'
  config.kwise_pm.update(checkpoint_every=4, log_every=2)
  config.rankings.update(
    prompts=48, test_prompts=24, demonstrations=16, sample_batch=128
  )
