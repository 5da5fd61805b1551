"""Sections that several configs share, each with its values in one place."""


def adapters():
  """Low-rank changes of the last blocks (Hu et al. 2021)."""
  return dict(
    layers=4,
    rank=8,
    alpha=16.0,
    targets=(
      'attention/qkv/kernel',
      'attention/out/kernel',
      'mlp/in/kernel',
      'mlp/out/kernel',
    ),
  )


def reading():
  """How released pairs are read where no stage has before."""
  return dict(
    max_prompt=128,
    max_reply=64,
    test_fraction=0.1,
    train_pairs=800,  # whose features are kept; 0: all
    coin_flip_labels=False,  # for a null study
  )


def features():
  """Length buckets of cached features, and tokens a batch."""
  return dict(edges=(112, 176, 272), tokens=1024)


def mesh():
  """Devices along each axis; all 1: no mesh."""
  return dict(data=1, fsdp=1, model=1)
