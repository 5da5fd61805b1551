import jax
import jax.numpy as jnp
import pytest
import train_fixture as fixture

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.train.optimiser import make_optimiser


@pytest.fixture(scope='session')
def model():
  return build(
    TransformerConfig(vocab_size=12, n_layers=1, d_model=16, n_heads=2)
  )


@pytest.fixture(scope='session')
def model_params(model):
  """A trunk and a head with scores that are not zero."""

  @jax.jit
  def init(rng):
    head = model.init_head(jax.random.fold_in(rng, 1))
    return model.init(rng) | {'head': head}

  return init(jax.random.key(0))


@pytest.fixture(scope='session')
def iteration():
  """One compiled PPO iteration of the bigram policy; the state is donated."""
  tx = make_optimiser()
  return tx, jax.jit(fixture.bigram_iteration(tx), donate_argnums=0)


@pytest.fixture(scope='session')
def rollout():
  """Ragged replies of the bigram policy of seed 0."""
  collect, *_ = fixture.bigram_pieces(make_optimiser())
  params = fixture.bigram_params(0)
  return jax.jit(collect)(params, fixture.PROMPTS, jax.random.key(3))


@pytest.fixture(scope='session')
def frozen():
  worth_V = jnp.float32([0.5, -1.0, 2.0, 0.0, 1.0, -0.5])
  ref = fixture.bigram_params(1)['policy']
  return fixture.ppo.Frozen(ref, {'worth_V': worth_V})
