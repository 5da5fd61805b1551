"""Log-probabilities and replies of a small model, as the harness asks."""

import types

import jax
import numpy as np
import pytest

from experiments.harness import reading
from experiments.shared.imported import Opened
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig

V, LONGEST = 16, 24


@pytest.fixture(scope='module')
def opened():
  """A model of 24 learned positions whose end token is 3, and pads too."""
  functions = build(
    TransformerConfig(
      vocab_size=V,
      n_layers=1,
      d_model=16,
      n_heads=2,
      positions='learned',
      max_length=LONGEST,
    )
  )
  shapes = jax.eval_shape(functions.init, jax.random.key(0))
  rng = np.random.default_rng(5)
  params = jax.tree.map(
    lambda x: rng.normal(0, 0.7, x.shape).astype(np.float32), shapes
  )
  words = types.SimpleNamespace(stop_ids=(3,), pad_id=3)
  return Opened(functions, params, words, None)


@pytest.fixture(scope='module')
def logits_of(opened):
  """ids -> logits of every position, read alone: the naive twin."""
  logits_fn = jax.jit(opened.functions.logits_fn)

  def logits(ids):
    tokens_1T = np.zeros((1, LONGEST), np.int32)
    tokens_1T[0, : len(ids)] = ids
    length_1 = np.int32([len(ids)])
    return np.asarray(logits_fn(opened.params, tokens_1T, length_1)[0], float)

  return logits


def test_a_score_is_the_sum_over_the_continuation(opened, logits_of):
  """Some of them are too long for the model, and lose their left."""
  rng = np.random.default_rng(0)
  contexts = [rng.integers(0, V, n).tolist() for n in (3, 8, 20, 30)]
  contexts += [contexts[1] + [5], contexts[1] + [6, 6]]
  requests = [
    (context, rng.integers(0, V, n).tolist())
    for context in contexts
    for n in (1, 4, 7)
  ]
  found = reading.make_score(opened, tokens=48)(requests)
  for (context, more), (logp, greedy) in zip(requests, found, strict=True):
    whole = (context + more)[-LONGEST - 1 :]
    logits_TV = logits_of(whole[:-1])
    total, best = 0.0, True
    for t in range(len(whole) - len(more), len(whole)):
      logits_V = logits_TV[t - 1]
      total += logits_V[whole[t]] - np.log(np.exp(logits_V).sum())
      best &= logits_V.argmax() == whole[t]
    np.testing.assert_allclose(logp, total, atol=1e-4)
    assert greedy == best


def test_a_greedy_reply_takes_the_likeliest_token_up_to_the_end(
  opened, logits_of
):
  rng = np.random.default_rng(1)
  prompts = [rng.integers(0, V, n).tolist() for n in (1, 5, 9, 30)]
  found = reading.make_write(opened)(prompts, 6, {'temperature': 0})
  ended = 0
  for prompt, reply in zip(prompts, found, strict=True):
    ids, wanted = prompt[-(LONGEST - 6) :], []
    for _ in range(6):
      token = int(logits_of(ids + wanted)[len(ids + wanted) - 1].argmax())
      if token == 3:
        ended += 1
        break
      wanted.append(token)
    assert reply == wanted
  assert ended < len(prompts)


def test_replies_as_long_as_the_model_are_an_error(opened):
  with pytest.raises(ValueError, match='less than the 24 tokens'):
    reading.make_write(opened)([[1]], LONGEST, {})


def test_prompts_of_like_length_are_written_on_together():
  lengths = [3, 20, 16, 17] + [28] * 17
  parts = reading.prompt_batches([[1] * n for n in lengths], 28)
  assert [(len(inside), columns) for inside, columns in parts] == [
    (16, 28),
    (1, 28),
    (2, 24),
    (2, 16),
  ]
