"""Masks come from lengths; pads and companions change nothing."""

import jax
import numpy as np
import pytest

from rlhf_jax.models.transformer import Transformer

LEFT_PADS = (0, 1, 7)
ROOM = max(LEFT_PADS)


def scramble_pads(tokens_BT, length_B, fill):
  pad_BT = np.arange(tokens_BT.shape[1]) >= length_B[:, None]
  return np.where(pad_BT, fill, tokens_BT).astype(np.int32)


def shifted(tokens_BT, length_B, left):
  """Rows after `left` pads, in a width that holds the most of them."""
  B, T = tokens_BT.shape
  tokens = np.full((B, T + ROOM), 5, np.int32)
  mask = np.zeros((B, T + ROOM), bool)
  for b, length in enumerate(length_B):
    tokens[b, left : left + length] = tokens_BT[b, :length]
    mask[b, left : left + length] = True
  return tokens, mask


@pytest.mark.parametrize('fill', [0, 3, 15])
def test_content_of_pads_changes_nothing(tiny, batch, fill):
  """Any pad id, that of a real or of an end token too (checklist 1, 4)."""
  tokens_BT, length_B = batch
  padded_BT = scramble_pads(tokens_BT, length_B, fill)
  real_BT = np.arange(tokens_BT.shape[1]) < length_B[:, None]
  for fn in (tiny.logits, tiny.value):
    got = np.asarray(fn(tiny.params, padded_BT, length_B))[real_BT]
    expected = np.asarray(fn(tiny.params, tokens_BT, length_B))[real_BT]
    np.testing.assert_array_equal(got, expected)
  np.testing.assert_array_equal(
    tiny.score(tiny.params, padded_BT, length_B),
    tiny.score(tiny.params, tokens_BT, length_B),
  )


def test_a_pad_id_inside_the_text_is_read(tiny, batch):
  """A real token equal to the pad id counts: lengths decide (checklist 1)."""
  tokens_BT, length_B = batch
  other_BT = tokens_BT.copy()
  other_BT[0, 3] = 0 if tokens_BT[0, 3] else 1
  before = tiny.score(tiny.params, tokens_BT, length_B)
  after = tiny.score(tiny.params, other_BT, length_B)
  assert abs(before[0] - after[0]) > 1e-3
  np.testing.assert_allclose(before[1:], after[1:], atol=1e-6)


def test_positions_are_the_exclusive_count_of_real_tokens(tiny, monkeypatch):
  """cumsum(mask) - mask at real tokens; pads in range (checklist 2)."""
  seen = []
  embed = Transformer._embed

  def spy(self, tokens_BT, position_BT, limit):
    seen.append(position_BT)
    return embed(self, tokens_BT, position_BT, limit)

  monkeypatch.setattr(Transformer, '_embed', spy)

  def positions(params, tokens_BT, mask_BT):
    Transformer(tiny.config).apply(
      {'params': params['trunk']}, tokens_BT, mask_BT, method='hidden'
    )
    return seen[-1]

  mask_BT = np.array(
    [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0]]
  )
  tokens_BT = np.zeros_like(mask_BT)
  position_BT = np.asarray(jax.jit(positions)(tiny.params, tokens_BT, mask_BT))
  expected_BT = mask_BT.cumsum(1) - mask_BT
  real_BT = mask_BT > 0
  np.testing.assert_array_equal(position_BT[real_BT], expected_BT[real_BT])
  assert np.all((position_BT >= 0) & (position_BT < mask_BT.sum(1)[:, None]))


@pytest.mark.parametrize('left', LEFT_PADS)
def test_left_pads_change_no_logit(tiny, batch, left):
  """0, 1 and 7 pads before the text (checklist 3)."""
  tokens_BT, length_B = batch
  expected_BTV = tiny.logits(tiny.params, tokens_BT, length_B)
  got_BTV, _ = tiny.by_mask(tiny.params, *shifted(tokens_BT, length_B, left))
  for b, length in enumerate(length_B):
    np.testing.assert_allclose(
      got_BTV[b, left : left + length], expected_BTV[b, :length], atol=1e-5
    )


@pytest.mark.parametrize('left', LEFT_PADS)
def test_score_is_the_same_on_either_side(tiny, batch, left):
  """Right pads, left pads, or both: one score (checklist 4, 6)."""
  tokens_BT, length_B = batch
  expected_B = tiny.score(tiny.params, tokens_BT, length_B)
  _, scalar_BT = tiny.by_mask(tiny.params, *shifted(tokens_BT, length_B, left))
  got_B = scalar_BT[np.arange(len(length_B)), left + length_B - 1]
  np.testing.assert_allclose(got_B, expected_B, atol=1e-5)


def test_companions_and_place_change_nothing(tiny, batch):
  """The rows in another order, and with other companions (checklist 5)."""
  tokens_BT, length_B = batch
  expected_B = tiny.score(tiny.params, tokens_BT, length_B)
  order = np.array([2, 0, 3, 1])
  got_B = tiny.score(tiny.params, tokens_BT[order], length_B[order])
  np.testing.assert_allclose(got_B, expected_B[order], atol=1e-6)
  others_BT = (tokens_BT + 1) % 16
  others_BT[1] = tokens_BT[1]
  got_B = tiny.score(tiny.params, others_BT, np.array([2, 4, 9, 9], np.int32))
  np.testing.assert_allclose(got_B[1], expected_B[1], atol=1e-6)


def test_score_is_read_at_the_last_real_token(tiny, batch):
  """head(h[length - 1]), and nothing later matters (checklist 16)."""
  tokens_BT, length_B = batch
  last = np.arange(len(length_B)), length_B - 1
  score_B = tiny.score(tiny.params, tokens_BT, length_B)
  value_BT = tiny.value(tiny.params, tokens_BT, length_B)
  np.testing.assert_allclose(score_B, value_BT[last], atol=1e-6)
  longer_B = np.full_like(length_B, tokens_BT.shape[1])
  value_BT = tiny.value(tiny.params, tokens_BT, longer_B)
  np.testing.assert_allclose(score_B, value_BT[last], atol=1e-5)
  changed_BT = tokens_BT.copy()
  changed_BT[last] = (changed_BT[last] + 1) % 16
  changed_B = tiny.score(tiny.params, changed_BT, length_B)
  assert np.all(np.abs(np.asarray(changed_B - score_B)) > 1e-4)


def test_shared_trunk_gives_both_outputs(tiny, batch):
  logits_BTV, value_BT = tiny.both(tiny.params, *batch)
  np.testing.assert_allclose(
    logits_BTV, tiny.logits(tiny.params, *batch), atol=1e-5
  )
  np.testing.assert_allclose(
    value_BT, tiny.value(tiny.params, *batch), atol=1e-5
  )
