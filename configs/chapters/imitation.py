"""Imitation, binary discrimination and ranking on the same pairs: claim 52.

What: two ranked and two binary tasks of the simulated world with exact answers,
every method and rung with the same grid of rates, chosen on development seeds.
A rate is a multiple of the rung's own; the rates of the preference models of
the study (.25 to .4) lie inside the grid.

Tried on development seed 0: of 768 pairs a head of 197K learned nothing of the
helpful task (.51 to .53, the grid over; an imitator .71), so that the claim
would have been about chance. Of 2,560 pairs one of 42K has .65, an imitator
.68, and the best rates are .3 and 1: the grid begins and ends beyond them.

Time: 15 minutes by estimate after headline: 9 for five seeds, 6 for the grid,
on one development seed. Three sizes, the largest of the ladder not among them:
it takes as long as the others together. Claim 52 holds an imitator against the
head of the kind of a task, so that no head learns tasks of the other kind
(`crossed`), which was a third of all models.

    python -m experiments.reproduce --config=configs/reproduce.py:full \
        --config.themes=imitation --workdir=DIR
"""

from configs import blocks


def sections(config):
  """Settings of the theme, and of the stages that only it runs."""
  return dict(
    imitation=dict(
      sizes=('3K', '13K', '42K'),
      seeds=5,  # the first of the study: the claim wants no more
    ),
    tasks=tasks(config),
    methods=methods(config),
  )


def tasks(config):
  """Section of `make_tasks`."""
  named = {key: config.get_ref(key) for key in ('max_prompt', 'max_reply')}
  return dict(
    text_dir=blocks.to_set(str),
    world=config.world,
    **named,
    seed=0,
    pairs=6000,  # of each task
    held_out=0.25,  # share of the prompts, of valid and of test each
  )


def methods(config):
  """Section of `compare_methods`."""
  named = ('base', 'pad_token', 'dtype', 'matmul')
  return {key: blocks.ref(config, key) for key in named} | dict(
    role=blocks.to_set(str),
    half=blocks.to_set(str),
    size=blocks.to_set(str),
    seed=blocks.to_set(int),
    tasks_dir=blocks.to_set(str),
    tuned_dir=blocks.to_set(str),
    tasks=('helpful', 'harmless', 'answer', 'refusal'),
    methods=('ranked', 'binary', 'imitation'),
    crossed=False,
    rates=(0.1, 0.3, 1.0, 3.0),
    tuning_seeds=(0,),
    pairs=2560,
    batch_size=32,
    warmup=0.05,
    b2=0.98,
    eval_pairs=1000,
    eval_batch=250,
  )


def small(config):
  """Cuts it down to a smoke test."""
  config.imitation.sizes = ('3K', '13K')
  config.tasks.pairs = 800
  config.methods.update(
    rates=(0.1, 1.0), tuning_seeds=(0,), pairs=256, eval_pairs=128
  )
  config.methods.eval_batch = 64
