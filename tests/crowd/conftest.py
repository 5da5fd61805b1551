import numpy as np
import pytest

from rlhf_jax.crowd.classic.world import World


@pytest.fixture(scope='session')
def world():
  return World()


@pytest.fixture
def rng():
  return np.random.default_rng(7)
