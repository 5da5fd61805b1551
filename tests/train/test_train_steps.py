"""The language-model and preference-model steps."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.data.rankings import RankingArrays, pairs_of
from rlhf_jax.data.shared import candidates_of
from rlhf_jax.losses.preference import best_of_loss, binary_loss
from rlhf_jax.train.objectives import preference_objective, score_pairs
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import (
  init_state,
  make_lm_step,
  make_pm_step,
  make_ranking_step,
)
from rlhf_jax.types import (
  CandidateBatch,
  LMBatch,
  LMHyper,
  PairBatch,
  PMHyper,
  SharedPairs,
  WeightedPairs,
)

RNG = jax.random.key(0)


def ragged_lm_batch():
  rng = np.random.default_rng(0)
  return LMBatch(
    tokens_BT=np.int32(rng.integers(0, fixture.V, (8, 7))),
    length_B=np.int32([7, 2, 5, 3, 1, 7, 4, 6]),
    loss_start_B=np.int32([0, 0, 3, 1, 0, 5, 4, 2]),
  )


def ragged_pairs(size=8, seed=0):
  rng = np.random.default_rng(seed)
  tokens = lambda: np.int32(rng.integers(0, fixture.V, (size, 5)))
  length = lambda: np.int32(rng.integers(1, 6, size))
  return PairBatch(tokens(), length(), tokens(), length())


def test_lm_loss_equals_a_loop_over_the_tokens_that_count():
  batch, params = ragged_lm_batch(), fixture.bigram_params(0)['policy']
  step = jax.jit(make_lm_step(fixture.bigram_logits, optax.identity()))
  state = init_state(params, optax.identity())
  _, metrics = step(state, batch, RNG, LMHyper(0.1))
  table = np.float64(params['table_VV'])
  logp_VV = table - np.log(np.exp(table).sum(1, keepdims=True))
  nats = [
    -logp_VV[batch.tokens_BT[b, t - 1], batch.tokens_BT[b, t]]
    for b in range(8)
    for t in range(max(1, batch.loss_start_B[b]), batch.length_B[b])
  ]
  assert float(metrics['loss']) == pytest.approx(np.mean(nats), rel=1e-5)


@pytest.mark.parametrize('kind', ['lm', 'pm'])
def test_microbatches_give_the_gradient_of_the_whole_batch(kind):
  """1, 2 and 4 microbatches on ragged rows (checklist 67)."""
  if kind == 'lm':
    make, fn, batch = make_lm_step, fixture.bigram_logits, ragged_lm_batch()
    params = fixture.bigram_params(0)['policy']
  else:
    make, fn, batch = make_pm_step, fixture.count_score, ragged_pairs()
    params = {'worth_V': jnp.linspace(-1, 1, fixture.V)}
  tx, hyper = optax.identity(), (LMHyper if kind == 'lm' else PMHyper)(1.0)
  results = []
  for microbatches in (1, 2, 4):
    step = jax.jit(make(fn, tx, microbatches=microbatches))
    state, metrics = step(init_state(params, tx), batch, RNG, hyper)
    grads = jax.tree.map(lambda a, b: a - b, params, state.params)
    results.append((grads, metrics))
  assert float(results[0][1]['grad_norm']) > 0.01
  for other in results[1:]:
    fixture.assert_close(results[0], other, rtol=1e-5, atol=1e-6)


def test_microbatches_of_weighted_pairs_give_the_gradient_of_the_whole_batch():
  """And weights 1 and 3 that of three times as many of the latter."""
  rng = np.random.default_rng(0)
  ids = lambda size: np.int32(rng.integers(0, fixture.V, size))
  weight_B = np.float32([1, 3] * 4)
  tokens, last_B2 = np.zeros((8, 1), np.int32), ids((8, 2))
  rows = WeightedPairs(tokens, tokens, ids(8), last_B2, weight_B)
  scores = lambda params, rows: params['worth_V'][rows.last_B2].T
  params = {'worth_V': jnp.linspace(-1, 1, fixture.V)}
  often = np.repeat(np.arange(8), np.int32(weight_B))
  plain = SharedPairs(*(column[often] for column in rows[:4]))
  tx, results = optax.identity(), []
  for batch, microbatches in ((plain, 1), (rows, 1), (rows, 4)):
    step = make_pm_step(scores, tx, microbatches=microbatches, shared=True)
    state, metrics = step(init_state(params, tx), batch, RNG, PMHyper(1.0))
    results.append((state.params, metrics['loss'], metrics['grad_norm']))
  assert float(results[0][2]) > 0.01
  for other in results[1:]:
    fixture.assert_close(results[0], other, rtol=1e-5, atol=1e-6)


def test_pm_metrics_have_hand_values():
  """Scores 3 against 1 and 1 against 3: half are right."""
  pairs = PairBatch(*map(np.int32, ([[2], [0]], [1, 1], [[0], [2]], [1, 1])))
  step = make_pm_step(fixture.count_score, optax.identity())
  params = {'worth_V': jnp.float32([1.0, 2.0, 3.0])}
  state, metrics = step(
    init_state(params, optax.identity()), pairs, RNG, PMHyper(1.0)
  )
  assert float(metrics['accuracy']) == 0.5
  assert float(metrics['score']) == 2.0
  expected = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(2.0))) / 2
  assert float(metrics['loss']) == pytest.approx(expected, rel=1e-6)
  assert int(state.step) == 1


def test_the_objective_takes_another_loss_of_the_two_scores():
  """Scores 3 against 1 and 1 against 3, each a log loss by itself."""
  pairs = PairBatch(*map(np.int32, ([[2], [0]], [1, 1], [[0], [2]], [1, 1])))
  objective = preference_objective(fixture.count_score, loss_of=binary_loss)
  params = {'worth_V': jnp.float32([1.0, 2.0, 3.0])}
  loss, metrics = objective.loss_fn(params, pairs)
  log1p = lambda x: float(np.log1p(np.exp(x)))
  expected = (log1p(-3.0) + log1p(-1.0) + log1p(1.0) + log1p(3.0)) / 4
  assert float(loss) == pytest.approx(expected, rel=1e-6)
  assert float(metrics['accuracy']) == 0.5


WINNER, LENGTH, STEPS = 5, 6, 150


def rule_pairs(rng, size, flip):
  """The reply with the token 5 wins, save for a share `flip` of the labels."""
  tokens = rng.integers(6, 12, (2, size, LENGTH)).astype(np.int32)
  tokens[0, np.arange(size), rng.integers(0, LENGTH, size)] = WINNER
  flipped = rng.random(size) < flip
  tokens = np.where(flipped[:, None], tokens[::-1], tokens)
  length = np.full(size, LENGTH, np.int32)
  return PairBatch(tokens[0], length, tokens[1], length)


@pytest.fixture(scope='module')
def trained(model, model_params):
  """flip -> differences of score, chosen minus rejected, on new pairs."""
  tx = make_optimiser()
  step = make_pm_step(model.score_fn, tx)

  @jax.jit
  def run(batches, test):
    rates = 0.01 * (1 - jnp.arange(STEPS) / STEPS)
    one = lambda state, xs: step(state, xs[0], RNG, PMHyper(xs[1]))
    state, _ = jax.lax.scan(one, init_state(model_params, tx), (batches, rates))
    chosen_B, rejected_B = score_pairs(model.score_fn, state.params, test)
    return chosen_B - rejected_B

  def train(flip):
    rng = np.random.default_rng(0)
    batches = rule_pairs(rng, STEPS * 64, flip)
    batches = jax.tree.map(
      lambda x: x.reshape(STEPS, 64, *x.shape[1:]), batches
    )
    return np.asarray(run(batches, rule_pairs(rng, 2000, flip)))

  return {flip: train(flip) for flip in (0.0, 0.2, 0.5)}


def test_a_preference_model_learns_a_rule(trained):
  """At least 95 % of new pairs (checklist 28)."""
  assert (trained[0.0] > 0).mean() >= 0.95


def test_a_preference_model_learns_nothing_from_shuffled_labels(trained):
  """At most 55 % of new pairs, and at least 45 % (checklist 28)."""
  assert 0.45 <= (trained[0.5] > 0).mean() <= 0.55


def test_label_noise_is_the_ceiling_and_is_known_to_the_model(trained):
  """With 20 % flipped labels: 80 %, and calibrated (checklist 29)."""
  difference_B = trained[0.2]
  assert (difference_B > 0).mean() == pytest.approx(0.8, abs=0.03)
  probability_B = 1 / (1 + np.exp(-np.abs(difference_B)))
  edges = np.quantile(probability_B, [0.0, 0.25, 0.5, 0.75, 1.0])
  for low, high in zip(edges[:-1], edges[1:], strict=True):
    inside = (probability_B >= low) & (probability_B <= high)
    right = (difference_B[inside] > 0).mean()
    # 500 pairs a bin: two standard errors are 0.036.
    assert probability_B[inside].mean() == pytest.approx(right, abs=0.07)


def candidate_scores(params, batch):
  """`count_score` of every candidate, as a row of its own."""
  B, C, T = batch.tokens_BCT.shape
  rows = batch.tokens_BCT.reshape(B * C, T), batch.length_BC.reshape(B * C)
  return fixture.count_score(params, *rows).reshape(B, C)


def ranking_step(batch, microbatches=1):
  tx = optax.identity()
  step = jax.jit(
    make_ranking_step(candidate_scores, tx, microbatches=microbatches)
  )
  params = {'worth_V': jnp.linspace(-1.0, 1.0, fixture.V)}
  state, metrics = step(init_state(params, tx), batch, RNG, PMHyper(0.1))
  return state.params, metrics


def test_a_step_on_two_candidates_is_the_step_on_pairs():
  pairs, tx = ragged_pairs(), optax.identity()
  step = jax.jit(make_pm_step(fixture.count_score, tx))
  params = {'worth_V': jnp.linspace(-1.0, 1.0, fixture.V)}
  state, metrics = step(init_state(params, tx), pairs, RNG, PMHyper(0.1))
  expected = state.params, metrics
  fixture.assert_close(
    ranking_step(candidates_of(pairs)), expected, rtol=1e-6, atol=1e-7
  )
  assert float(metrics['grad_norm']) > 1e-2


def test_candidates_in_microbatches_give_the_step_of_the_whole_batch():
  """Prompts without a pair of candidates do not count, wherever they fall."""
  rng = np.random.default_rng(0)
  rank_BC = rng.permuted(np.tile(np.arange(3), (8, 1)), axis=1)
  rank_BC[[0, 1, 5], 1:] = -1
  batch = CandidateBatch(
    np.int32(rng.integers(0, fixture.V, (8, 3, 5))),
    np.int32(rng.integers(1, 6, (8, 3))),
    np.int32(rank_BC),
  )
  (whole, metrics), (parts, others) = (ranking_step(batch, n) for n in (1, 4))
  fixture.assert_close(parts, whole, rtol=1e-5, atol=1e-7)
  for name in ('loss', 'accuracy', 'grad_norm'):
    assert float(others[name]) == pytest.approx(float(metrics[name]), rel=1e-5)
  assert float(metrics['grad_norm']) > 1e-2


def rankings_of(batch):
  """A CandidateBatch as RankingArrays."""
  B = len(batch.rank_BC)
  zeros, sources = np.zeros(B, np.int32), np.full(B, '')
  columns = batch.tokens_BCT, batch.length_BC, batch.rank_BC
  words_BC = np.zeros_like(batch.rank_BC)
  return RankingArrays(
    *columns, zeros, zeros, zeros, np.arange(B), words_BC, sources
  )


def five_of_each(B=8):
  """Five candidates of each of B prompts, in an order without ties."""
  rng = np.random.default_rng(0)
  return CandidateBatch(
    np.int32(rng.integers(0, fixture.V, (B, 5, 5))),
    np.int32(rng.integers(1, 6, (B, 5))),
    np.int32(rng.permuted(np.tile(np.arange(5), (B, 1)), axis=1)),
  )


def test_k_replies_cost_k_forward_passes():
  """Sequences that a step scores: 5 a prompt, of its pairs 20 (checklist 23).

  They are counted as each step is traced, which is once.
  """
  batch, counted, tx = five_of_each(), [], optax.identity()

  def score_fn(params, tokens_BT, length_B):
    counted.append(len(tokens_BT))
    return fixture.count_score(params, tokens_BT, length_B)

  def candidate_score_fn(params, batch):
    B, C, T = batch.tokens_BCT.shape
    rows = batch.tokens_BCT.reshape(B * C, T), batch.length_BC.reshape(B * C)
    return score_fn(params, *rows).reshape(B, C)

  found = pairs_of(rankings_of(batch)).pairs
  assert len(found.kind_N) == 8 * 5 * 4 / 2
  pairs = PairBatch(*found[:4])
  params, seen = {'worth_V': jnp.linspace(-1.0, 1.0, fixture.V)}, []
  for step, rows in (
    (make_ranking_step(candidate_score_fn, tx), batch),
    (make_pm_step(score_fn, tx), pairs),
  ):
    args = init_state(params, tx), rows, RNG, PMHyper(0.1)
    state, metrics = jax.jit(step)(*args)
    seen.append((sum(counted), state.params, metrics['loss']))
    counted.clear()
  assert [count for count, *_ in seen] == [8 * 5, 8 * 5 * 4]
  # Without ties every prompt has as many pairs: one loss, one gradient.
  fixture.assert_close(seen[0][1:], seen[1][1:], rtol=1e-5, atol=1e-7)


def test_another_loss_of_candidates_reaches_its_step():
  batch, tx = five_of_each(), optax.identity()
  step = make_ranking_step(candidate_scores, tx, loss_of=best_of_loss)
  params = {'worth_V': jnp.linspace(-1.0, 1.0, fixture.V)}
  _, metrics = step(init_state(params, tx), batch, RNG, PMHyper(0.1))
  wanted = best_of_loss(candidate_scores(params, batch), batch.rank_BC)
  assert float(metrics['loss']) == pytest.approx(float(wanted), rel=1e-6)
  _, other = ranking_step(batch)
  assert abs(float(other['loss']) - float(wanted)) > 0.1
