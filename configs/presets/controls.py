"""Studies beside the headline: a control, variances, a GPU, development."""

from configs.presets import whole


def null():
  """The headline study with coin-flip labels and hashed rewards."""
  config = whole.headline()
  config.preset = 'null'
  config.null = True
  return config


def gpu():
  """Larger rungs for one H200-class GPU, one process."""
  config = whole.headline()
  config.preset = 'gpu'
  config.workers = 1
  config.text.update(dialogues=400000)
  config.lm.update(steps=4000, batch_size=256, microbatches=1)
  config.comparisons.update(lm_size='13M', sample_batch=4096)
  config.pm.update(microbatches=1, eval_batch=2048)
  config.pm_lr_multiples = dict(_197K=0.4, _810K=0.3, _2_7M=0.2, _13M=0.1)
  config.rl.update(microbatches=1, scoring_parts=1)
  config.scaling.sizes = ('197K', '810K', '2.7M', '13M')
  config.calibration.size = config.tension.size = '2.7M'
  config.linear.update(sizes=('197K', '810K', '2.7M'), pm_size='13M')
  config.ppo.inert_sizes = ('197K',)
  config.robustness.update(size='197K', pm_size='13M')
  config.bows.size = '197K'
  return config


def shared_variance():
  """Draws of what all seeds share: texts, language model, pairs, prompts.

  Each draw has seeds of its own; `python -m scripts.make_variance_doc` writes
  how much of the variance over seeds lies between draws.
  """
  config = whole.headline()
  config.preset = 'shared_variance'
  config.draws, config.seeds = 6, tuple(range(400, 424))
  config.rl_seeds = len(config.seeds)
  config.comparisons.update(lm_size='13K', pairs=36000)
  config.rl.eval_prompts = 256  # as often as there: fits want eight points
  config.themes = ('scaling', 'ppo')
  config.scaling.sizes = config.linear.sizes = ('13K',)
  config.linear.pm_size, config.ppo.inert_sizes = '13K', ()
  for name in ('calibration', 'tension', 'robustness', 'bows', 'frontier'):
    del config[name]
  return config


def parts():
  """Development of the world of parts, without RL (docs/worlds.md)."""
  config = whole.study('parts', 'parts')
  config.seeds, config.rl_seeds = (0,), 0
  config.text.update(dialogues=24000, plain_texts=1000, tokenizer_texts=3000)
  config.lm.update(steps=1200)
  config.comparisons.update(seed=0, pairs=19000)
  config.pm.update(pairs=6144)
  config.themes = ('scaling',)
  config.scaling.update(sizes=('13K', '42K', '197K'), curve_points=3)
  return config
