"""The scalar head, scores of pairs, and the absence of dropout."""

import ast
import pathlib

import jax
import numpy as np
import pytest

import rlhf_jax
from rlhf_jax.losses import preference
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.train.objectives import score_pairs
from rlhf_jax.types import PairBatch


def random_pairs(B, T, V, seed):
  """Random pairs that end in the last id, the end of context."""
  rng = np.random.default_rng(seed)
  sides = []
  for _ in range(2):
    tokens_BT = rng.integers(0, V - 1, (B, T)).astype(np.int32)
    length_B = rng.integers(2, T + 1, B).astype(np.int32)
    tokens_BT[np.arange(B), length_B - 1] = V - 1
    sides += [tokens_BT, length_B]
  return PairBatch(*sides)


def test_head_starts_normal_with_a_zero_bias():
  """std 1 / sqrt(D + 1) within 5 percent, bias 0 (checklist 17)."""
  D = 10_000
  model = build(TransformerConfig(8, 1, D, 1))
  head = model.init_head(jax.random.key(0))
  assert head['kernel'].shape == (D,)
  assert np.std(head['kernel']) == pytest.approx((D + 1) ** -0.5, rel=0.05)
  assert abs(np.mean(head['kernel'])) < 5 * (D + 1) ** -0.5 / D**0.5
  assert head['bias'] == 0.0


def test_zero_head_is_zero_and_other_kinds_are_refused():
  model = build(TransformerConfig(8, 1, 4, 1))
  head = model.init_head(jax.random.key(0), 'zero')
  assert all(np.all(x == 0) for x in jax.tree.leaves(head))
  with pytest.raises(ValueError, match="'score' or 'zero'"):
    model.init_head(jax.random.key(0), 'one')


def test_a_new_preference_model_is_at_chance(tiny):
  """Loss log 2 +- 0.1 and accuracy about one half (checklist 21)."""
  rng = jax.random.key(3)
  params = jax.jit(tiny.model.init)(rng)
  params['head'] = tiny.model.init_head(rng)
  batch = random_pairs(256, 9, 16, seed=0)
  chosen_B, rejected_B = jax.jit(
    lambda params, batch: score_pairs(tiny.model.score_fn, params, batch)
  )(params, batch)
  loss = preference.pairwise_loss(chosen_B, rejected_B)
  assert abs(float(loss) - np.log(2)) < 0.1
  assert np.std(chosen_B) > 1e-3  # not the chance of a constant
  accuracy = preference.pairwise_accuracy(chosen_B, rejected_B)
  assert 0.4 < float(accuracy) < 0.6


def test_one_forward_scores_both_sides(tiny):
  """Equal to two separate forwards, in one call (checklist 33)."""
  batch, calls = random_pairs(2, 9, 16, seed=1), []

  def score_fn(params, tokens_BT, length_B):
    calls.append(tokens_BT.shape)
    return tiny.score(params, tokens_BT, length_B)

  chosen_B, rejected_B = score_pairs(score_fn, tiny.params, batch)
  assert calls == [(4, 9)]
  rows = lambda x: np.concatenate([x, x])  # the compiled shape
  for got_B, tokens_BT, length_B in (
    (chosen_B, batch.chosen_tokens_BT, batch.chosen_length_B),
    (rejected_B, batch.rejected_tokens_BT, batch.rejected_length_B),
  ):
    alone_B = tiny.score(tiny.params, rows(tokens_BT), rows(length_B))
    np.testing.assert_allclose(got_B, alone_B[:2], atol=1e-6)


def test_scoring_twice_gives_the_same_bits(tiny, batch):
  """No randomness in a forward pass (checklist 70)."""
  for fn in (tiny.logits, tiny.score, tiny.value):
    first, second = (np.asarray(fn(tiny.params, *batch)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_no_code_of_the_package_names_dropout():
  """No module, argument or rng collection of that name (checklist 70)."""
  names = []
  for path in pathlib.Path(rlhf_jax.__file__).parent.rglob('*.py'):
    if path.parent.name == 'check':
      continue  # it names the defect that it looks for
    for node in ast.walk(ast.parse(path.read_text())):
      for field in ('id', 'attr', 'arg', 'name', 'value'):
        word = getattr(node, field, None)
        if isinstance(word, str) and len(word) < 40:
          names.append(word.lower())
  assert len(names) > 1000
  assert not [name for name in names if 'dropout' in name]
