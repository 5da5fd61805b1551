"""The study cut down, so that everything runs once in minutes."""

from configs import blocks
from configs.presets import real, whole


def smoke():
  """Everything once, tiny: under three minutes on two cores."""
  config = whole.classic()
  config.preset = 'smoke'
  config.seeds = (0, 1)
  config.max_prompt, config.max_reply = 24, 24
  config.text.update(
    dialogues=3000,
    plain_texts=100,
    tokenizer_texts=1000,
    heldout_dialogues=200,
  )
  config.lm.update(steps=150, samples=64, checkpoint_every=100)
  config.comparisons.update(lm_size='13K', pairs=4000, sample_batch=256)
  config.pm.update(pairs=768, curve_eval_pairs=512, checkpoint_every=100)
  config.rl.update(
    iterations=8,
    batch_size=64,
    eval_batch=64,
    minibatch_size=32,
    microbatches=1,
    scoring_parts=1,
    eval_prompts=64,
    pi0_samples=2,
    shown=dict(each=1, replies=3, snapshots=2),
    dense_iterations=8,
    dense_every=1,
    warmup_iterations=1,
    checkpoint_every=4,
  )
  config.scaling.update(sizes=('3K', '13K'), curve_points=5)
  config.calibration.update(size='13K', pairs=768)
  config.tension.update(size='13K', pairs=256)
  config.linear.update(sizes=('3K', '13K'), pm_size='13K', pi0_samples=2)
  config.robustness.update(pm_size='13K', pm_pairs=256, iterations=8)
  config.bows.update(iterations=8)
  config.frontier.update(prompts=16, replies=128)
  return config


def full_smoke():
  """Every chapter once, tiny."""
  config = smoke()
  config.preset = 'full_smoke'
  for chapter in whole.add_chapters(config):
    chapter.small(config)
  return config


def smollm2_policies_smoke():
  """Every theme of smollm2_policies once, tiny: some minutes of SmolLM2."""
  config = real.smollm2_policies()
  config.preset = 'smollm2_policies_smoke'
  config.seeds, config.rl_seeds = (0,), 1
  config.reading.update(train_pairs=48, test_pairs=24)
  config.rl.update(
    iterations=2,
    batch_size=8,
    minibatch_size=8,
    warmup_iterations=1,
    eval_prompts=4,
    eval_batch=4,
    pi0_samples=2,
    dense_iterations=2,
    dense_every=1,
    checkpoint_every=1,
    shown=dict(each=1, replies=2, snapshots=2),
  )
  config.frontier.update(prompts=2, replies=24)
  for theme in blocks.chapters('policies').values():
    theme.small(config)
  return config
