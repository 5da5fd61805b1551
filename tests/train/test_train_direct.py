"""DPO's step: reply log-probabilities by loops, its gradient by differences.

The model is a table: after token v the next one is distributed as row v says.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.train import direct
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import DirectBatch, DirectHyper

B, T, V, BETA = 4, 5, fixture.V, 0.3
PROMPT_B = np.int32([1, 2, 1, 2])
CHOSEN_B, REJECTED_B = np.int32([2, 4, 4, 3]), np.int32([4, 3, 2, 5])
RNG = np.random.default_rng(0)
SIDES = RNG.integers(V, size=(2, B, T)).astype(np.int32)


def table(seed):
  return np.random.default_rng(seed).normal(0, 0.7, (V, V))


def of(table_VV):
  return {'table_VV': jnp.float32(table_VV)}


def reply_logp(table_VV, tokens_T, start, end):
  total = 0.0
  for t in range(start, end):
    row = table_VV[tokens_T[t - 1]]
    total += row[tokens_T[t]] - math.log(sum(math.exp(x) for x in row))
  return total


def logps(table_VV):
  """[(chosen, rejected)] of each pair."""
  return [
    tuple(
      reply_logp(table_VV, side[b], PROMPT_B[b], end[b])
      for side, end in zip(SIDES, (CHOSEN_B, REJECTED_B), strict=True)
    )
    for b in range(B)
  ]


def loss(table_VV, ref_VV):
  terms = []
  for (good, bad), (ref_good, ref_bad) in zip(
    logps(table_VV), logps(ref_VV), strict=True
  ):
    h = BETA * ((good - ref_good) - (bad - ref_bad))
    terms.append(math.log(1 + math.exp(-h)))
  return sum(terms) / B


def slope(table_VV, ref_VV, step=1e-5):
  found_VV = np.zeros((V, V))
  for i, j in itertools.product(range(V), range(V)):
    moved = [table_VV.copy(), table_VV.copy()]
    moved[0][i, j] += step
    moved[1][i, j] -= step
    found_VV[i, j] = (loss(moved[0], ref_VV) - loss(moved[1], ref_VV)) / step
  return found_VV / 2


def batch(ref_VV):
  good_B, bad_B = np.float32(logps(ref_VV)).T
  return DirectBatch(
    SIDES[0], CHOSEN_B, SIDES[1], REJECTED_B, PROMPT_B, good_B, bad_B
  )


def test_a_reply_s_log_probability_is_the_sum_over_its_tokens():
  """The end token too; prompt and pads in no way, whatever they hold."""
  made = jax.jit(direct.make_pair_logps(fixture.bigram_logits))
  found = made(of(table(1)), batch(table(2)))
  np.testing.assert_allclose(np.transpose(found), logps(table(1)), rtol=1e-5)
  few = jax.jit(direct.make_pair_logps(fixture.bigram_logits, max_reply=3))
  np.testing.assert_allclose(
    few(of(table(1)), batch(table(2))), found, rtol=1e-5
  )


@pytest.mark.parametrize('parts', [1, 2])
def test_a_step_descends_the_loss_of_the_paper(parts):
  """Its metrics are of the implicit rewards (checklist 67)."""
  tx = optax.identity()
  step = direct.make_direct_step(
    fixture.bigram_logits, tx, microbatches=parts, max_reply=3
  )
  tables = table(1), table(2)
  after, metrics = jax.jit(step)(
    init_state(of(tables[0]), tx),
    batch(tables[1]),
    jax.random.key(0),
    DirectHyper(1.0, BETA),
  )
  assert float(metrics['loss']) == pytest.approx(loss(*tables), abs=1e-5)
  moved = of(tables[0])['table_VV'] - after.params['table_VV']
  np.testing.assert_allclose(moved, slope(*tables), atol=1e-4)
  rewards = BETA * (np.array(logps(tables[0])) - np.array(logps(tables[1])))
  margin_B = rewards[:, 0] - rewards[:, 1]
  assert float(metrics['margin']) == pytest.approx(margin_B.mean(), abs=1e-4)
  assert float(metrics['accuracy']) == (margin_B > 0).mean()
  assert float(metrics['score']) == pytest.approx(rewards.mean(), abs=1e-4)


def test_a_step_over_a_frozen_base_trains_what_is_added():
  """Base and addition together are the policy; the base has no gradient."""
  tx = optax.identity()
  add = lambda base, params: jax.tree.map(jnp.add, base, params)
  step = direct.make_direct_step(fixture.bigram_logits, tx, combine=add)
  tables = table(1), table(2)
  zero = jax.tree.map(jnp.zeros_like, of(tables[0]))
  after, metrics = jax.jit(step)(
    init_state(zero, tx),
    of(tables[0]),
    batch(tables[1]),
    jax.random.key(0),
    DirectHyper(1.0, BETA),
  )
  assert float(metrics['loss']) == pytest.approx(loss(*tables), abs=1e-5)
  np.testing.assert_allclose(
    -after.params['table_VV'], slope(*tables), atol=1e-4
  )
