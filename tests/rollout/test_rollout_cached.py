"""The cached sampler against full forward passes of the Transformer."""

import jax
import numpy as np
import pytest

from rlhf_jax.losses.language import token_logps
from rlhf_jax.losses.masked import reply_mask

STOPS = (3, 4, 17)
RNG = jax.random.key(5)


def check_layout(rollout, prompts, pad_id=0):
  """Prompt, reply up to the first stop, pads; see docs/architecture.md."""
  P, R = prompts.tokens_BP.shape[1], 7
  for b, p in enumerate(prompts.length_B):
    n, tokens_T = rollout.length_B[b], rollout.tokens_BT[b]
    reply = tokens_T[p:n]
    assert rollout.prompt_length_B[b] == p
    assert list(tokens_T[:p]) == list(prompts.tokens_BP[b, :p])
    assert 1 <= n - p <= R and len(tokens_T) == P + R
    assert not set(reply[:-1]) & set(STOPS)
    assert bool(rollout.ended_B[b]) == (reply[-1] in STOPS)
    assert rollout.ended_B[b] or n - p == R
    assert np.all(tokens_T[n:] == pad_id)
    assert np.all(rollout.logp_BT[b, :p] == 0)
    assert np.all(rollout.logp_BT[b, p:n] < 0)
    assert np.all(rollout.logp_BT[b, n:] == 0)


@pytest.mark.parametrize('which', [1.0, 0.7, 'greedy', 'recompute'])
def test_layout_of_a_rollout(lm, prompts, which):
  """Compact, cut at the first of three stops, pads after (checklist 7, 11)."""
  rollout = jax.device_get(lm.samplers[which](lm.params, prompts, RNG))
  check_layout(rollout, prompts)


def test_replies_are_ragged_and_both_endings_occur(lm, prompts):
  ended = [
    np.asarray(lm.samplers[1.0](lm.params, prompts, jax.random.key(i)).ended_B)
    for i in range(3)
  ]
  assert 0 < np.mean(ended) < 1


def test_greedy_equals_argmax_of_the_full_forward(lm, prompts):
  """Token for token (checklist 35)."""
  rollout = jax.device_get(lm.samplers['greedy'](lm.params, prompts, RNG))
  logits_BTV = lm.logits(lm.params, rollout.tokens_BT, rollout.length_B)
  best_BT = np.argmax(logits_BTV, axis=-1)
  for b, n in enumerate(rollout.length_B):
    p = rollout.prompt_length_B[b]
    assert list(rollout.tokens_BT[b, p:n]) == list(best_BT[b, p - 1 : n - 1])


@pytest.mark.parametrize('temperature', [1.0, 0.7])
def test_logps_equal_teacher_forcing(lm, prompts, temperature):
  """Sampler and trainer agree on ragged prompts (checklist 36)."""
  rollout = lm.samplers[temperature](lm.params, prompts, RNG)
  tokens_BT, length_B = rollout.tokens_BT, rollout.length_B
  logits_BTV = lm.logits(lm.params, tokens_BT, length_B)
  expected_BT = token_logps(logits_BTV, tokens_BT, temperature)
  expected_BT *= reply_mask(
    rollout.prompt_length_B, length_B, tokens_BT.shape[1]
  )
  np.testing.assert_allclose(rollout.logp_BT, expected_BT, atol=1e-4)


def test_recomputing_the_prefix_equals_the_cache(lm, prompts):
  cached = lm.samplers[1.0](lm.params, prompts, RNG)
  recomputed = lm.samplers['recompute'](lm.params, prompts, RNG)
  for name in ('tokens_BT', 'length_B', 'prompt_length_B', 'ended_B'):
    np.testing.assert_array_equal(
      getattr(cached, name), getattr(recomputed, name)
    )
  np.testing.assert_allclose(cached.logp_BT, recomputed.logp_BT, atol=1e-4)


@pytest.mark.parametrize('which', [1.0, 'recompute'])
def test_content_of_prompt_pads_changes_nothing(lm, prompts, which):
  """Even where the pads hold stop tokens (checklist 1)."""
  pad_BP = np.arange(5) >= prompts.length_B[:, None]
  stops_BP = np.where(pad_BP, 3, prompts.tokens_BP).astype(np.int32)
  first = lm.samplers[which](lm.params, prompts, RNG)
  second = lm.samplers[which](
    lm.params, prompts._replace(tokens_BP=stops_BP), RNG
  )
  jax.tree.map(np.testing.assert_array_equal, first, second)


def test_a_row_does_not_depend_on_its_place(lm, prompts):
  """The rows in another order, each with its name (checklist 5, 41)."""
  order = np.array([3, 0, 5, 1, 4, 2])
  moved = type(prompts)(*(x[order] for x in prompts))
  first = lm.samplers[1.0](lm.params, prompts, RNG)
  second = lm.samplers[1.0](lm.params, moved, RNG)
  np.testing.assert_array_equal(first.tokens_BT[order], second.tokens_BT)
  np.testing.assert_allclose(first.logp_BT[order], second.logp_BT, atol=1e-5)


def test_another_key_gives_other_replies(lm, prompts):
  """Two iterations do not share their numbers (checklist 40)."""
  replies = [
    lm.samplers[1.0](lm.params, prompts, jax.random.fold_in(RNG, step))
    for step in (0, 1)
  ]
  first, second = (np.asarray(r.tokens_BT) for r in replies)
  assert np.mean(np.any(first != second, axis=1)) > 0.8
