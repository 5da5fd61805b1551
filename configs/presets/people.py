"""Online training on what people say on the page of apps/feedback.

One seed and one round: comparisons of the crowd, a preference model and a
policy; then people talk with that policy, and both are trained again on all of
it. The study stops where it waits for people, and goes on by the same command.
"""

from configs import blocks
from configs.presets import small, whole

DATABASE = 'runs/feedback.db'


def online_human():
  """A round of people, small enough that they need not wait for long."""
  config = whole.classic()
  config.preset = 'online_human'
  config.seeds, config.rl_seeds = (0,), 1
  config.comparisons.update(lm_size='42K', pairs=8000)
  _wait_for_people(config)
  return config


def online_human_smoke():
  """The same within minutes, for tests."""
  config = small.smoke()
  config.preset = 'online_human_smoke'
  config.seeds, config.rl_seeds = (0,), 1
  _wait_for_people(config).small(config)
  config.online.update(size='13K', round_pairs=400, round_test_pairs=100)
  config.online_rl.update(
    iterations=16, snapshots=(8,), dense_iterations=16, dense_every=4
  )
  config.policies.prompts = 128
  return config


def _wait_for_people(config):
  """Makes it a study of the theme online alone; the chapter's module."""
  chapter = blocks.chapters()['online']
  config.update(chapter.sections(config))
  config.themes = ('online',)
  config.online.update(
    size=config.comparisons.lm_size,
    rounds=1,
    round_pairs=400,
    round_test_pairs=100,
    labels='queue',
    queue=DATABASE,
  )
  return chapter
