import jax
import numpy as np
import pytest
from hf_models import make, right_and_left

from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.models.transformer import Transformer


class Imported:
  """One family: the torch model, its folder, and what we read from it."""

  def __init__(self, name, path):
    self.name, self.path = name, path
    self.torch = make(name)
    self.torch.save_pretrained(path)
    self.settings_text = (path / 'config.json').read_text()
    self.config, self.params, self.settings = load_folder(path)
    self.model = build(self.config)

  def by_mask(self, tokens_BT, mask_BT, config=None):
    """Our logits of rows padded on either side; as another config has them."""
    run = jax.jit(Transformer(config or self.config).apply)
    return np.asarray(run({'params': self.params['trunk']}, tokens_BT, mask_BT))


@pytest.fixture(scope='session')
def imported(tmp_path_factory):
  """(name) -> Imported; each is made once."""
  made = {}

  def get(name):
    if name not in made:
      made[name] = Imported(name, tmp_path_factory.mktemp(name))
    return made[name]

  return get


@pytest.fixture(scope='session')
def rows():
  """(right-padded, left-padded) pairs of tokens_BT and mask_BT."""
  return right_and_left()
