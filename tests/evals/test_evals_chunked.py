"""The numbers of a policy do not depend on how its logits are made."""

import evals_bigram as bigram
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlhf_jax.evals.policy import make_evaluate
from rlhf_jax.types import SplitModel

TEMPERATURE, R = 0.7, 4
TABLE_VV, REF_VV = bigram.random_table(1), bigram.random_table(2)
ARGS = (TABLE_VV, REF_VV, (np.arange(6.0),))


def evaluated(logits_fn, **options):
  collect = lambda params, rollout, rng: rollout
  evaluate = make_evaluate(
    collect, logits_fn, (bigram.reward,), temperature=TEMPERATURE, **options
  )
  return jax.jit(evaluate)(*ARGS, bigram.fixed_rollout(), jax.random.key(0))


@pytest.mark.parametrize('max_reply', [None, R])
@pytest.mark.parametrize('chunk', [None, 3])
def test_split_models_give_the_numbers_of_all_logits(chunk, max_reply):
  """KL, its estimators and the entropy of replies (checklist 47)."""

  def hidden_fn(table_VV, tokens_BT, length_B, read_BS=None):
    if read_BS is not None:
      tokens_BT = jnp.take_along_axis(tokens_BT, read_BS, 1)
    return jax.nn.one_hot(tokens_BT, bigram.V)

  split = SplitModel(
    hidden_fn,
    lambda table_VV, hidden: hidden @ table_VV,
    chunk,
  )
  expected = evaluated(bigram.logits_fn)
  got = evaluated(split, max_reply=max_reply, parts=2)
  assert set(got) == set(expected)
  for name in expected:
    np.testing.assert_allclose(
      got[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name
    )
  assert np.all(np.asarray(got['kl']) > 0.01)
