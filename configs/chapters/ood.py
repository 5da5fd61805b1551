"""Red-team prompts as outliers (Bai et al. 2022, section 5.4, appendix B.9).

    python -m experiments.reproduce --config=configs/reproduce.py:full \
        --config.themes=ood

What: Gaussians of helpful prompts' features at every layer of language models
of every size, distances of held-out helpful and red-team prompts to them, and
linear classifiers that were shown 1 to 100 red-team prompts. Every seed trains
language models of its own. Features are those of the last token of a prompt,
which is the same in all of them; the mean over a prompt stands beside it in the
tables. The preset smollm2 does the same on real first turns.

Tried on development seeds 0 and 1: at the last layer the simplified score has
AUROC of .90 to 1 from 3K to 42K and of 1 at 197K, the plain distance .95 to 1.
Red-team prompts of this world have words of their own, and a distance has
little left to win. Nothing was changed by that.

Time: 14 minutes by estimate, of which language models take 9. Those of headline
have 1,600 steps, and would take 50. Whether a model that has read more detects
better was not tried.
"""

from configs import blocks


def sections(config):
  """The theme's settings, and the section of `detect_outliers`."""
  keys = ('world', 'max_prompt')
  own = {k: config[k] if k == 'world' else config.get_ref(k) for k in keys}
  return dict(
    ood=dict(sizes=('3K', '13K', '42K', '197K'), lm_steps=280),
    outliers=outliers(config) | own,
  )


def outliers(config):
  """Section of `detect_outliers`, but for where simulated prompts are from."""
  keys = ('pad_token', *blocks.ARITHMETIC)
  return {key: blocks.ref(config, key) for key in keys} | dict(
    data=config.data,
    base=blocks.to_set(str),
    feature_folder=blocks.to_set(str),
    role=blocks.to_set(str),
    size=blocks.to_set(str),
    seed=blocks.to_set(int),
    half='all',
    features=dict(edges=(24, 40), tokens=4096),
    splits=1,
    fit_prompts=2048,  # helpful ones
    test_prompts=1024,  # of each kind
    exposed_prompts=300,  # red-team ones that may be shown
    exposures=(1, 3, 10, 30, 100),
    exposure_draws=5,  # the paper's
    exposure_l2=0.01,
    shuffles=100,
  )


def real(config):
  """The same section for real first turns, of which there are fewer."""
  return outliers(config) | dict(
    features=dict(edges=(40, 64, 96, 128), tokens=1024),
    max_prompt=128,  # with some 30 tokens of a template
    splits=3,  # the paper's
    fit_prompts=1000,
    test_prompts=400,
  )


def small(config):
  """Cuts it to smoke size."""
  config.ood.update(sizes=('3K', '13K'), lm_steps=150)
  config.outliers.update(fit_prompts=256, test_prompts=128, exposed_prompts=60)
  config.outliers.update(exposures=(1, 3, 10, 30), shuffles=400)
