"""Preference-model pretraining (PMP) on a simulated forum: claims 53 and 54.

What: language model -> PMP on ranked or on tagged (binary) pairs of a forum, at
a tenth of the language model's rate in the papers, three tenths here, one pass
-> a preference model on 128 to 10,240 comparisons, with the same rates whether
it was pretrained or not. Each seed has a PMP of its own.

The rate was chosen on development seeds 0 and 1 by what pretraining itself says
on held-out pairs of the forum, one grid for both variants (ranked, tagged;
after 512 comparisons, .499 without). Claims were seen at .1 on these seeds:

  .1 of the rate     .639, .556    .609, .504
  .3                 .655, .580    .638, .530
  1                  .617, .541    .594, .521

20,000 pairs are what fits into fifteen minutes for eight seeds; more were not
tried.

    python -m experiments.reproduce --config=configs/reproduce.py:full \
        --config.themes=pretraining --workdir=DIR
"""

from configs import blocks


def sections(config):
  """Settings of the theme, and of the stage that only it runs."""
  return dict(
    pretraining=dict(
      size='42K',
      pairs=(128, 512, 2048, 10240),
      lr_multiple=0.3,
    ),
    forum=forum(config),
  )


def forum(config):
  """Section of `make_forum`."""
  keys = ('test_fraction', 'max_prompt', 'max_reply')
  named = {key: config.get_ref(key) for key in keys}
  return dict(
    text_dir=blocks.to_set(str),
    world=config.world,
    **named,
    variant=blocks.to_set(str),
    seed=0,
    pairs=20000,
    edits=0.25,
    most=2,
  )


def small(config):
  """Cuts it down to a smoke test."""
  config.pretraining.update(size='13K', pairs=(128, 512))
  config.forum.pairs = 1200
