"""The pieces of a PPO iteration with a bigram policy, on ragged prompts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.losses.kl import kl_k1
from rlhf_jax.losses.language import token_logps
from rlhf_jax.train import ppo, ppo_update
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import Experience

RNG = jax.random.key(3)
HYPER = fixture.hyper()
ROW_SCORE_B = np.linspace(-1, 1, 8, dtype=np.float32)


def test_logged_kl_is_the_penalty_over_the_coefficient(rollout, frozen):
  """Tokens and the logged mean over replies (checklist 54)."""
  penalise = ppo.make_penalise(fixture.bigram_logits)
  hyper = fixture.hyper(kl_coef=0.3)
  none = jnp.zeros(8)
  reward_BT, kl_BT = penalise(frozen.ref, rollout, none, hyper)
  assert np.abs(kl_BT).max() > 0.1
  np.testing.assert_allclose(kl_BT, -reward_BT / 0.3, rtol=1e-5)
  ref_logp_BT = token_logps(
    fixture.bigram_logits(frozen.ref, rollout.tokens_BT, None),
    rollout.tokens_BT,
  )
  k1_BT = kl_k1(rollout.logp_BT, ref_logp_BT) * fixture.mask_of(rollout)
  np.testing.assert_allclose(kl_BT, k1_BT, atol=1e-6)
  metrics = ppo.rollout_metrics(rollout, none, kl_BT)
  penalty = -reward_BT.sum(1).mean() / 0.3
  assert float(metrics['kl_k1']) == pytest.approx(float(penalty), rel=1e-5)


def test_the_truncation_penalty_meets_replies_without_an_end(rollout, frozen):
  penalise = ppo.make_penalise(fixture.bigram_logits)
  assert 0 < rollout.ended_B.sum() < 8
  hyper = fixture.hyper(kl_coef=0.0, truncation_penalty=2.5)
  reward_BT, _ = penalise(frozen.ref, rollout, ROW_SCORE_B, hyper)
  expected_B = ROW_SCORE_B - np.where(rollout.ended_B, 0.0, 2.5)
  np.testing.assert_allclose(reward_BT.sum(1), expected_B, rtol=1e-6)


def test_the_scale_of_the_scores_comes_before_the_truncation_penalty(
  rollout, frozen
):
  """2 score + 1, and 2.5 less of that where a reply has no end."""
  penalise = ppo.make_penalise(fixture.bigram_logits)
  hyper = fixture.hyper(kl_coef=0.0, truncation_penalty=2.5)
  hyper = hyper._replace(reward_gain=2.0, reward_bias=1.0)
  reward_BT, _ = penalise(frozen.ref, rollout, ROW_SCORE_B, hyper)
  expected_B = 2 * ROW_SCORE_B + 1 - np.where(rollout.ended_B, 0.0, 2.5)
  np.testing.assert_allclose(reward_BT.sum(1), expected_B, rtol=1e-6)


def test_whitened_rewards_have_variance_one_before_advantages(rollout):
  """Over the real tokens of the batch, their mean kept (checklist 60)."""
  rng = np.random.default_rng(0)
  mask_BT = np.asarray(fixture.mask_of(rollout))
  reward_BT = np.float32(rng.normal(3.0, 2.0, mask_BT.shape) * mask_BT)
  of_value = lambda params, *rows: fixture.bigram_value(params['value'], *rows)
  params, hyper = fixture.bigram_params(0), fixture.hyper(gae_lambda=0.5)
  whitened = ppo.make_estimate(of_value, whiten=True)
  found = whitened(params, rollout, reward_BT, hyper)
  real = mask_BT > 0
  mean, sd = reward_BT[real].mean(), reward_BT[real].std()
  by_hand_BT = np.where(real, (reward_BT - mean) / sd + mean, 0)
  plain = ppo.make_estimate(of_value)
  wanted = plain(params, rollout, np.float32(by_hand_BT), hyper)
  np.testing.assert_allclose(
    found.advantage_BT, wanted.advantage_BT, rtol=1e-4, atol=1e-5
  )
  other = plain(params, rollout, reward_BT, hyper)
  assert np.abs(other.advantage_BT - found.advantage_BT).max() > 0.1


def test_a_shared_trunk_learns_at_the_policy_rate():
  """Parameters of any structure, here a tuple (checklist 62)."""
  tx = optax.identity()
  joint = lambda params, tokens_BT, _: (
    params[0][tokens_BT],
    params[0][tokens_BT].sum(-1),
  )
  update = ppo_update.make_ppo_update(joint, tx, passes=1, minibatch_size=2)
  experience = Experience(
    *map(np.int32, ([[1, 2, 0], [3, 4, 5]], [1, 1], [2, 3])),
    *np.float32(np.random.default_rng(0).normal(size=(4, 2, 3))),
  )
  rates = lambda policy, value: HYPER._replace(
    policy_learning_rate=policy, value_learning_rate=value
  )
  state = init_state((fixture.bigram_params(0)['policy']['table_VV'],), tx)
  moved, _ = update(state, experience, RNG, rates(1.0, 0.0))
  still, _ = update(state, experience, RNG, rates(0.0, 1.0))
  assert np.abs(moved.params[0] - state.params[0]).max() > 1e-3
  np.testing.assert_array_equal(still.params[0], state.params[0])


def test_the_value_of_a_token_is_read_at_the_token_before(rollout):
  """The first reply token's at the last prompt token (checklist 63)."""
  place = lambda params, tokens_BT, _: jnp.broadcast_to(
    jnp.arange(tokens_BT.shape[1], dtype=jnp.float32), tokens_BT.shape
  )
  experience = ppo.make_estimate(place, microbatches=2)(
    {}, rollout, jnp.zeros(rollout.tokens_BT.shape), fixture.hyper()
  )
  for b in range(8):
    first, end = int(rollout.prompt_length_B[b]), int(rollout.length_B[b])
    for t in range(rollout.tokens_BT.shape[1]):
      expected = t - 1 if first <= t < end else 0
      assert experience.old_value_BT[b, t] == expected


def with_unequal_halves(rollout):
  """The rollout; replies that come late in the minibatch have one token."""
  rng = jax.random.fold_in(RNG, 0)
  (order,) = np.asarray(ppo_update.minibatches(rng, 8, 1, 8))
  late, length_B = order[4:], np.array(rollout.length_B)
  length_B[late] = np.asarray(rollout.prompt_length_B)[late] + 1
  rollout = rollout._replace(length_B=length_B)
  mask_BT = fixture.mask_of(rollout)
  first, second = np.asarray(mask_BT.sum(1))[order].reshape(2, 4).sum(1)
  assert first > second == 4  # by rows both halves would weigh the same
  return rollout._replace(logp_BT=rollout.logp_BT * mask_BT)


def test_ppo_microbatches_give_the_gradient_of_the_whole_minibatch(
  rollout, frozen
):
  """1, 2 and 4 microbatches of unequal numbers of tokens (checklist 67)."""
  params, results = fixture.bigram_params(0), []
  rollout = with_unequal_halves(rollout)
  for parts in (1, 2, 4):
    tx = optax.identity()
    _, penalise, estimate, update = fixture.bigram_pieces(
      tx, passes=1, minibatch_size=8, parts=parts
    )
    learn = jax.jit(ppo.make_learn(penalise, estimate, update))
    state, metrics = learn(
      init_state(params, tx), frozen.ref, rollout, ROW_SCORE_B, RNG,
      fixture.hyper(1.0),
    )  # fmt: skip
    grads = jax.tree.map(lambda a, b: a - b, params, state.params)
    results.append((grads, metrics))
  for name in ('policy', 'value'):
    assert float(optax.tree.norm(results[0][0][name])) > 0.01
  for other in results[1:]:
    fixture.assert_close(results[0], other, rtol=1e-5, atol=1e-6)


def test_scoring_in_parts_changes_nothing(rollout, frozen):
  """Microbatches of the reference's pass (checklist 67)."""
  penalise = ppo.make_penalise(fixture.bigram_logits)
  whole = penalise(frozen.ref, rollout, ROW_SCORE_B, HYPER)
  penalise = ppo.make_penalise(fixture.bigram_logits, microbatches=4)
  parts = penalise(frozen.ref, rollout, ROW_SCORE_B, HYPER)
  fixture.assert_close(whole, parts, rtol=1e-6)
  penalise = ppo.make_penalise(fixture.bigram_logits, microbatches=3)
  with pytest.raises(ValueError, match='3 microbatches do not divide'):
    penalise(frozen.ref, rollout, ROW_SCORE_B, HYPER)


def test_every_pass_is_a_fresh_permutation():
  """Each row once a pass, passes and iterations differ (checklist 69)."""
  rows = np.asarray(ppo_update.minibatches(RNG, 12, 3, 4))
  assert rows.shape == (9, 4)
  passes = rows.reshape(3, 12)
  np.testing.assert_array_equal(np.sort(passes, 1), np.tile(range(12), (3, 1)))
  later = np.asarray(
    ppo_update.minibatches(jax.random.fold_in(RNG, 1), 12, 3, 4)
  )
  orders = {tuple(order) for order in [*passes, *later.reshape(3, 12)]}
  assert len(orders | {tuple(range(12))}) == 7


def test_an_update_takes_another_order_at_another_step():
  """The order is a function of (rng, step) (checklist 69)."""
  tx = optax.identity()
  *_, update = fixture.bigram_pieces(tx, passes=1, minibatch_size=1)
  rows = np.arange(8)
  zeros_BT = np.zeros((8, 2), np.float32)
  experience = Experience(
    tokens_BT=np.int32([[1, 1]] * 8),
    prompt_length_B=np.ones(8, np.int32),
    length_B=np.full(8, 2, np.int32),
    old_logp_BT=zeros_BT,
    old_value_BT=zeros_BT,
    advantage_BT=zeros_BT,
    return_BT=np.float32(rows[:, None] + zeros_BT),
  )
  update = jax.jit(update)
  hyper = fixture.hyper(0.0, value_clip=jnp.inf)
  orders = []
  for step in (0, 8):
    state = init_state(fixture.bigram_params(0), tx)
    state = state._replace(step=jnp.int32(step))
    _, metrics = update(state, experience, RNG, hyper)
    # The value is 0, so the loss of a row tells its number.
    orders.append(np.sqrt(2 * metrics['value_loss']).round().astype(int))
  for order in orders:
    np.testing.assert_array_equal(np.sort(order), rows)
  assert not np.array_equal(*orders)


def test_a_minibatch_must_divide_the_batch(frozen):
  tx = optax.identity()
  iteration = fixture.bigram_iteration(tx, minibatch_size=3)
  state = init_state(fixture.bigram_params(0), tx)
  with pytest.raises(ValueError, match='minibatches of 3 rows do not divide'):
    jax.eval_shape(iteration, state, frozen, fixture.PROMPTS, RNG, HYPER)


def test_reference_and_reward_model_stay_bit_for_bit(iteration, frozen):
  """Hashes after donated updates (checklist 71, 72)."""
  tx, step = iteration
  before = [fixture.digest(frozen.ref), fixture.digest(frozen.reward)]
  start = fixture.bigram_params(0)
  policy_before = fixture.digest(start)
  state = init_state(start, tx)
  for _ in range(4):
    state, metrics = step(state, frozen, fixture.PROMPTS, RNG, fixture.hyper())
  after = [fixture.digest(frozen.ref), fixture.digest(frozen.reward)]
  assert after == before
  assert fixture.digest(state.params) != policy_before
  assert np.isfinite(list(map(float, metrics.values()))).all()


def test_no_gradient_goes_through_the_reference_or_the_reward(frozen):
  """The step is the loss gradient at fixed experience (checklist 71, 72)."""
  tx = optax.identity()
  pieces = fixture.bigram_pieces(tx, passes=1, minibatch_size=8)
  collect, penalise, estimate, _ = pieces
  params, hyper = fixture.bigram_params(0), fixture.hyper(1.0)
  # The policy's own arrays are the reference: a gradient would show.
  frozen = frozen._replace(ref=params['policy'])
  iteration = jax.jit(fixture.bigram_iteration(tx, passes=1, minibatch_size=8))
  state, _ = iteration(
    init_state(params, tx), frozen, fixture.PROMPTS, RNG, hyper
  )

  @jax.jit
  def experience_of(params, ref, worth, rng):
    rollout = collect(params, fixture.PROMPTS, rng)
    score_B = fixture.count_score(worth, rollout.tokens_BT, rollout.length_B)
    reward_BT, _ = penalise(ref, rollout, score_B, hyper)
    return rollout, estimate(params, rollout, reward_BT, hyper)

  rng = jax.random.fold_in(jax.random.fold_in(RNG, 0), 0)
  rollout, part = jax.tree.map(
    np.asarray, experience_of(params, *frozen[:2], rng)
  )
  replies = np.asarray(fixture.mask_of(rollout)) > 0
  advantage_N = part.advantage_BT[replies]
  whitened_BT = (part.advantage_BT - advantage_N.mean()) / advantage_N.std()
  loss = ppo_update.make_ppo_loss(
    ppo_update.separate(fixture.bigram_logits, fixture.bigram_value), hyper
  )
  part = part._replace(advantage_BT=whitened_BT)
  grads = jax.jit(jax.grad(lambda p: loss(p, part)[0]))(params)
  expected = jax.tree.map(lambda w, g: w - g, params, grads)
  fixture.assert_close(state.params, expected, rtol=1e-5, atol=1e-6)


def test_iterations_never_share_a_sample(frozen):
  """The sampling key is a function of (rng, step)."""
  seen, rate = [], fixture.hyper(0.0)
  tx = optax.identity()
  collect, *rest = fixture.bigram_pieces(tx, passes=1, minibatch_size=8)

  def reward(_, tokens_BT, prompt_length_B, length_B):
    del prompt_length_B, length_B
    jax.debug.callback(lambda x: seen.append(x.tobytes()), tokens_BT)
    return jnp.zeros(8)

  iteration = jax.jit(ppo.make_ppo_iteration(collect, reward, *rest))
  state = init_state(fixture.bigram_params(0), tx)
  states = [state._replace(step=jnp.int32(step)) for step in (0, 1, 2, 0)]
  for state in states:
    iteration(state, frozen, fixture.PROMPTS, RNG, rate)
    jax.effects_barrier()
  assert len(set(seen)) == 3 and seen[3] == seen[0]
