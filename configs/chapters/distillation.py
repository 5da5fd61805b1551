"""Context distillation (Askell et al. 2021, section 2; Bai et al. 2022, A.1).

    python -m experiments.reproduce --config=configs/reproduce.py:full \
        --config.themes=distillation

What: language models that were trained on pages of one author, so that a prompt
of good dialogues can change them; the largest one, prompted, is the teacher,
and students of every size are distilled from it without the prompt. PPO of the
smallest policy then starts from its distilled model, under the PMs of headline.
Language models are shared by the seeds, which draw the teacher's texts, the
order of the students' steps, prompts and choices.

Tried on development seeds of the first world, gold of 512 replies with a prompt
of three dialogues (93 tokens) and without, models of 900 to 1,000 steps of 16
pages of four dialogues (standard error .07):

  pages whose author keeps only a quality        13K   .23 ->  .23
  pages whose author keeps words and ways too    13K   .07 -> 1.87
                                                 42K   .29 -> 2.28

So pages are of the second kind: an author has one pair of words for each slot
of style, and always or never declines. Three pages of random authors as the
prompt gave -.23 to .73 (13K) and -.12 to .97 (42K): models go on as they begin.
The prompt moves right choices of 13K from .51 to .66 (256 choices). Rate and
steps of the students are the paper's ratio and a guess, and were kept: in the
world of parts, where the preset full is, on development seeds 0 and 1,

                      3K            13K           197K
  KL of the student   .98 -> .17    1.07 -> .07   .12 -> .003 nats a token
  gold as it is       3.68, 3.64    4.89, 4.94    6.57, 6.56
  prompted            4.07, 3.98    4.89, 4.96    7.71, 7.65
  distilled           4.07, 3.93    5.19, 5.26    7.72, 7.63

The policies stand beside the linear ones of headline, on the same held-out
prompts, so that lambda of GAE is .95 as there, and they are measured as often.

Time: 27 minutes by estimate after headline, 14 of them without the policies:
students 6, models of pages 2, targets 2, what all can do 2, compiling 1. Three
sizes, as many as claims 49 and 55 ask for; models of pages have as many steps
as in the trials above; students read each target twice, as before.
"""

from configs import blocks

to_set = blocks.to_set
SHARED = ('world', 'max_prompt', 'max_reply')


def _of(config, *keys):
  """Those settings of the study, sections as they are, values by reference."""
  plain = lambda key: hasattr(config[key], 'keys')
  return {k: config[k] if plain(k) else blocks.ref(config, k) for k in keys}


def sections(config):
  """The theme's own settings, and the sections of the stages it alone runs."""
  return dict(
    distillation=dict(
      sizes=('3K', '13K', '197K'),  # students; the last one teaches
      lm_steps=1000,
      lm_batch=16,  # pages
      # Where PPO's policy starts: 'distilled', or 'lm' as in headline.
      pi0='distilled',
      rl_size='13K',
      rl_seeds=8,  # of the study's seeds
    ),
    pages=_pages(config),
    targets=_targets(config),
    distil=distil(config),
    prompted=_prompted(config),
  )


def _pages(config):
  return _of(config, *SHARED) | dict(
    text_dir=to_set(str),
    seed=0,
    rows_pages=16000,
    heldout_pages=256,
    page_dialogues=4,
    page_tokens=3 * (config.max_prompt + config.max_reply),
  )


def _targets(config):
  return _of(config, *SHARED, *blocks.ARITHMETIC) | dict(
    lm_dir=to_set(str),
    lm_size=to_set(str),
    seed=to_set(int),
    texts=5600,
    heldout_texts=512,
    good_quality=0.8,  # of the authors whose answers are good
    top=50,
    eval_batch=128,
  )


def distil(config):
  """Section of `distil`."""
  return _of(config, 'mesh', *blocks.ARITHMETIC) | dict(
    base=to_set(str),
    pad_token='',
    targets_dir=to_set(str),
    role='distilled',
    half='all',
    size=to_set(str),
    seed=to_set(int),
    steps=350,  # the texts twice
    batch_size=32,  # the paper's
    microbatches=1,
    learning_rate=0.0,  # 0: the rung's, times lr_multiple
    lr_multiple=0.05,  # the paper's
    warmup=0.0,
    b2=0.98,
    weight_decay=0.0,
    eval_batch=128,
    log_every=50,
    checkpoint_every=175,
    on_nonfinite='stop',
    loggers=(),
  )


def _prompted(config):
  return _of(config, *SHARED, *blocks.ARITHMETIC) | dict(
    pages_dir=to_set(str),
    sizes=to_set(tuple),
    lm_dirs=to_set(tuple),
    distilled_dirs=to_set(tuple),
    seed=to_set(int),
    samples=1024,
    choices=512,
    eval_batch=256,
  )


def small(config):
  """Cuts it to smoke size."""
  config.distillation.update(sizes=('3K', '13K'), lm_steps=150, rl_size='3K')
  config.distillation.rl_seeds = 1
  config.pages.update(rows_pages=1500, heldout_pages=64, page_dialogues=2)
  config.pages.update(page_tokens=96)
  config.targets.update(texts=640, heldout_texts=128, eval_batch=64)
  config.distil.update(steps=20, log_every=10, checkpoint_every=10)
  config.distil.update(lr_multiple=0.2)
  config.prompted.update(samples=128, choices=64, eval_batch=64)
