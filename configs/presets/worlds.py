"""The smallest study in this world and in four others (docs/worlds.md).

What a verdict owes to how the crowd is simulated: one thing is changed at a
time, all else is that of the headline study at its smallest size.
"""

from configs.presets import whole

SIZE = '13K'
CHANGES = {
  'as_is': {},
  'unsure': dict(temperature=1.5),  # of the workers; here 1
  'probit': dict(link='probit'),
  'unbiased': dict(bias_sd=0.0),  # no worker prefers the reply shown first
  'half': dict(harmful_families=2),  # of 5
}


def smallest(name):
  """The headline study at its smallest size in a world of CHANGES."""
  config = whole.headline()
  config.preset = f'world_{name}'
  config.world.update(CHANGES[name])
  config.text.update(dialogues=24000, plain_texts=1000, tokenizer_texts=3000)
  config.comparisons.update(lm_size=SIZE, pairs=24000)
  config.pm.update(pairs=6144)
  config.rl.update(eval_prompts=256, dense_every=2)
  config.frontier.update(prompts=16, replies=1024)
  config.scaling.sizes = config.linear.sizes = (SIZE,)
  config.linear.pm_size = config.robustness.pm_size = SIZE
  config.robustness.pm_pairs = 3072
  config.calibration.update(size=SIZE, pairs=6144, final_eval_pairs=4096)
  config.tension.size = SIZE
  return config


PRESETS = {
  f'world_{name}': lambda name=name: smallest(name) for name in CHANGES
}
