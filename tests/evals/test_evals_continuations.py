"""Continuations of one context in one row, each as if it were read alone."""

import jax
import numpy as np
import pytest

from rlhf_jax.evals.continuations import make_continuation_logps
from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig

V, T = 16, 16
CONTEXT = [3, 1, 4, 1]
CONTINUATIONS = [[5, 9, 2], [6], [5, 3, 5, 8], [9]]


@pytest.fixture(scope='module', params=['rotary', 'learned'])
def model(request):
  """(Model, parameters) with each kind of positions."""
  config = TransformerConfig(
    vocab_size=V,
    n_layers=1,
    d_model=8,
    n_heads=2,
    positions=request.param,
    max_length=T,
  )
  functions = build(config)
  shapes = jax.eval_shape(functions.init, jax.random.key(0))
  rng = np.random.default_rng(1)
  params = jax.tree.map(
    lambda x: rng.normal(0, 0.5, x.shape).astype(np.float32), shapes
  )
  return functions, params


def alone(model, continuation):
  """The naive twin: log softmax of the text alone, in float64."""
  functions, params = model
  ids = CONTEXT + continuation
  tokens_1T = np.zeros((1, T), np.int32)
  tokens_1T[0, : len(ids)] = ids
  logits_TV = np.asarray(
    functions.logits_fn(params, tokens_1T, np.int32([len(ids)]))[0], float
  )
  logps, best = [], []
  for t in range(len(CONTEXT), len(ids)):
    logits_V = logits_TV[t - 1]
    logps.append(logits_V[ids[t]] - np.log(np.exp(logits_V).sum()))
    best.append(logits_V.argmax() == ids[t])
  return logps, best


def shared_row():
  """Arrays of a row that holds them all, and one of another context."""
  tokens, segment, reads, targets = list(CONTEXT), [1] * 4, [], []
  for k, continuation in enumerate(CONTINUATIONS):
    start = len(tokens)
    tokens += continuation[:-1]
    segment += [2 + k] * (len(continuation) - 1)
    reads += [3, *range(start, len(tokens))]
    targets += continuation
  pad = lambda x, n: x + [0] * (n - len(x))
  return (
    np.int32([pad(tokens, T), pad([7, 7], T)]),
    np.int32([len(tokens), 2]),
    np.int32([pad(segment, T), pad([1, 1], T)]),
    np.int32([4, 2]),
    np.int32([pad(reads, 10), pad([1], 10)]),
    np.int32([pad(targets, 10), pad([2], 10)]),
  )


def test_each_has_the_log_probabilities_of_its_own_text(model):
  """Whether all logits are made together or four positions at a time."""
  functions, params = model
  at_once = 8 if functions.config.positions == 'learned' else 1024
  logps = make_continuation_logps(
    functions.hidden_fn, functions.head_fn, at_once
  )
  logp_BS, best_BS = map(np.asarray, jax.jit(logps)(params, *shared_row()))
  assert logp_BS.shape == best_BS.shape == (2, 10)
  at = 0
  for continuation in CONTINUATIONS:
    wanted, best = alone(model, continuation)
    inside = slice(at, at + len(continuation))
    np.testing.assert_allclose(logp_BS[0, inside], wanted, atol=2e-5)
    np.testing.assert_array_equal(best_BS[0, inside], best)
    at += len(continuation)


def test_a_continuation_of_best_tokens_is_greedy(model):
  functions, params = model
  tokens_1T = np.zeros((1, T), np.int32)
  tokens_1T[0, :4] = CONTEXT
  logits = functions.logits_fn(params, tokens_1T, np.int32([4]))
  best = int(np.argmax(logits[0, 3]))
  rows = list(shared_row())
  rows[5] = rows[5].copy()
  rows[5][0, 3] = best  # the one-token continuation after the context
  logps = make_continuation_logps(functions.hidden_fn, functions.head_fn)
  _, best_BS = jax.jit(logps)(params, *rows)
  assert best_BS[0, 3]
  rows[5][0, 3] = (best + 1) % V
  _, best_BS = jax.jit(logps)(params, *rows)
  assert not best_BS[0, 3]
