"""Games between snapshots of PPO runs, and Elo: a chapter of the preset `full`.

What: Bai et al. 2022, sections 2.4 and 4.5 and appendices B.4 and B.5: pi_0 and
five policies of a run play against each other, on 256 held-out prompts and in
conversations of up to four turns; gold decides. The runs are the linear ones of
these sizes, of which snapshots are kept; their curves are measured elsewhere,
so that few prompts do here.
"""

from configs import blocks, stages


def sections(config):
  """The theme's settings, and the sections of the stages that it alone runs."""
  return dict(
    samples=dict(sizes=tuple(config.linear.sizes[:2])),
    samples_rl=stages.rl(config)
    | dict(
      snapshots=(4, 10, 16, 24),  # besides the last, 34
      eval_prompts=256,
      pi0_samples=2,
      dense_iterations=0,
      dense_every=1,
      sparse_every=17,
    ),
    games=games(config),
  )


def games(config):
  """Section of `play_games`."""
  keys = ('max_prompt', 'max_reply', *blocks.ARITHMETIC)
  shared = {key: blocks.ref(config, key) for key in keys}
  return shared | dict(
    data=config.data,
    world=config.world,
    role=blocks.to_set(str),
    seed=blocks.to_set(int),
    half=blocks.to_set(str),
    size=blocks.to_set(str),
    comparisons_dir=blocks.to_set(str),
    train_pm_dir=blocks.to_set(str),
    test_pm_dir=blocks.to_set(str),
    writer_names=blocks.to_set(tuple),
    writer_dirs=blocks.to_set(tuple),
    prompts=256,
    talks=32,  # of every two of six players: 480 in all
    turns=4,
    writer_prompts=64,
    writer_replies=17,
    dialogue_prompt=176,  # four prompts and three replies fit, nearly always
    sample_batch=256,
  )


def small(config):
  """Cuts the chapter down to a smoke test."""
  cut = ('iterations', 'batch_size', 'eval_batch', 'minibatch_size')
  cut += ('microbatches', 'scoring_parts', 'eval_prompts', 'checkpoint_every')
  cut += ('warmup_iterations',)
  config.samples_rl.update({key: config.rl[key] for key in cut})
  config.samples_rl.update(snapshots=(2, 4, 6), sparse_every=8)
  config.samples.sizes = config.linear.sizes[:1]
  config.games.update(prompts=48, talks=8, sample_batch=64)
  config.games.update(writer_prompts=8, writer_replies=3)
