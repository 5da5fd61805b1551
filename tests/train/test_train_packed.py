"""A language-model step on the rows of `PackedBatches`."""

import jax
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.data.packing import PackedBatches, fill_rows
from rlhf_jax.train.steps import init_state, make_lm_step
from rlhf_jax.types import LMBatch, LMHyper, SplitModel

LENGTHS = np.int32([8, 3, 5, 1, 2, 4, 7, 2])


@pytest.fixture(scope='module')
def padded():
  """Eight ragged texts; some learn from their third token on."""
  tokens_BT = np.random.default_rng(5).integers(1, 12, (8, 8))
  tokens_BT *= np.arange(8) < LENGTHS[:, None]
  return LMBatch(np.int32(tokens_BT), LENGTHS, np.int32([0, 0, 2] * 3)[:8])


@pytest.fixture(scope='module')
def packed(padded):
  """The same texts in four full rows, and four empty ones."""
  rows = next(PackedBatches(iter([padded]), 8, pad_id=7))
  assert rows.tokens_BT.shape == (4, 8) and rows.length_B.min() > 0
  return fill_rows(rows, 8, pad_id=7)


def stepped(model, params, batch, **options):
  """(gradient, metrics) of one step."""
  tx, params = optax.identity(), {'trunk': params['trunk']}
  split = SplitModel(model.hidden_fn, model.head_fn, None)
  step = jax.jit(make_lm_step(split, tx, **options))
  state, metrics = step(
    init_state(params, tx), batch, jax.random.key(0), LMHyper(1.0)
  )
  return jax.tree.map(lambda a, b: a - b, params, state.params), metrics


@pytest.mark.parametrize('microbatches', [1, 2, 4])
def test_packed_microbatches_give_the_gradient_of_the_padded_batch(
  model, model_params, padded, packed, microbatches
):
  """Parts of unequal token counts, two of four empty (checklist 67)."""
  wanted = stepped(model, model_params, padded)
  got = stepped(
    model, model_params, packed, packed=True, microbatches=microbatches
  )
  assert float(wanted[1]['grad_norm']) > 0.01
  fixture.assert_close(got, wanted, rtol=1e-5, atol=1e-6)
