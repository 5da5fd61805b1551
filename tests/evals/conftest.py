from types import SimpleNamespace

import evals_bigram as bigram
import jax
import numpy as np
import pytest

from rlhf_jax.evals.policy import make_evaluate
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.types import Prompts

TEMPERATURE = 0.7


@pytest.fixture(scope='session')
def given():
  """Evaluates the rollout that it is handed in place of prompts."""
  rewards = (bigram.reward, bigram.reward)
  collect = lambda params, rollout, rng: rollout
  make = lambda parts: jax.jit(
    make_evaluate(
      collect,
      bigram.logits_fn,
      rewards,
      temperature=TEMPERATURE,
      parts=parts,
    )
  )
  return SimpleNamespace(whole=make(1), halves=make(2))


@pytest.fixture(scope='session')
def sampled():
  """Samples four replies at a time and evaluates them."""
  config = SamplingConfig(4, (5,), 0, temperature=TEMPERATURE)
  collect = make_collect(
    config, prefill_fn=bigram.prefill_fn, decode_fn=bigram.decode_fn
  )
  return jax.jit(
    make_evaluate(
      collect, bigram.logits_fn, (bigram.reward,), temperature=TEMPERATURE
    )
  )


@pytest.fixture(scope='session')
def prompts():
  rng = np.random.default_rng(0)
  return Prompts(
    tokens_BP=rng.integers(0, bigram.V, (12, 3)).astype(np.int32),
    length_B=rng.integers(1, 4, 12).astype(np.int32),
    row_B=np.arange(12, dtype=np.int32),
  )
