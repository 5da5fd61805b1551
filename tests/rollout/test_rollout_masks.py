"""Masks of rollouts in the losses: end tokens count, pads never do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import rollout_bigram as bigram

from rlhf_jax.losses import language, masked, ppo
from rlhf_jax.rollout.generate import SamplingConfig, make_generate
from rlhf_jax.train.ppo import make_estimate, make_penalise
from rlhf_jax.train.ppo_update import make_ppo_loss
from rlhf_jax.train.steps import init_state, make_lm_step
from rlhf_jax.types import LMBatch, LMHyper, PPOHyper

V, P, R, EOS, PAD = 6, 3, 4, 5, 0
HYPER = PPOHyper(1e-3, 1e-3, kl_coef=0.1, truncation_penalty=1.0)


def value_fn(table_VV, tokens_BT, length_B):
  """A value that differs from token to token."""
  del length_B
  return table_VV[tokens_BT].sum(-1)


def joint_fn(table_VV, tokens_BT, length_B):
  return (
    bigram.logits_fn(table_VV, tokens_BT, length_B),
    value_fn(table_VV, tokens_BT, length_B),
  )


@pytest.fixture(scope='module')
def generate():
  config = SamplingConfig(max_reply=R, stop_ids=(EOS,), pad_id=PAD)
  return jax.jit(make_generate(bigram.prefill_fn, bigram.decode_fn, config))


@pytest.fixture(scope='module')
def rollout(generate):
  """One reply that ends at once, one after two tokens, one never."""
  table_VV = bigram.chain(V, {1: EOS, 2: 3, 3: 4, 4: EOS})
  prompts = bigram.prompts_of([[1], [2, 3], [2, 2, 0]], P)
  return jax.device_get(generate(table_VV, prompts, jax.random.key(0)))


@pytest.fixture(scope='module')
def learn():
  """(reward_BT, kl_BT, loss, gradient) of one rollout."""
  penalise = make_penalise(bigram.logits_fn)
  estimate = make_estimate(value_fn)
  table_VV, ref_VV = (jnp.asarray(bigram.random_table(V, i)) for i in (1, 2))

  def run(rollout, score_B):
    logits_BTV = table_VV[rollout.tokens_BT]  # so that the ratios are 1
    logp_BT = language.token_logps(logits_BTV, rollout.tokens_BT)
    rollout = rollout._replace(logp_BT=logp_BT)
    reward_BT, kl_BT = penalise(ref_VV, rollout, score_B, HYPER)
    experience = estimate(table_VV, rollout, reward_BT, HYPER)
    loss_fn = make_ppo_loss(joint_fn, HYPER)
    (loss, stats), gradient = jax.value_and_grad(loss_fn, has_aux=True)(
      table_VV, experience
    )
    return reward_BT, kl_BT, (loss, stats), gradient

  return jax.jit(run)


def masks(rollout):
  T = rollout.tokens_BT.shape[1]
  return np.asarray(
    masked.reply_mask(rollout.prompt_length_B, rollout.length_B, T)
  )


def test_mask_of_a_rollout_ends_with_its_end_token(rollout):
  """The end token has mask 1, the next one 0 (checklist 7, 8)."""
  np.testing.assert_array_equal(
    rollout.tokens_BT,
    [[1, 5, 0, 0, 0, 0, 0], [2, 3, 4, 5, 0, 0, 0], [2, 2, 0, 0, 0, 0, 0]],
  )
  np.testing.assert_array_equal(
    masks(rollout),
    [[0, 1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1]],
  )
  assert list(rollout.ended_B) == [True, True, False]


def test_a_reply_without_an_end(rollout, learn):
  """Mask over all R, score at the last index, penalty (checklist 9)."""
  reward_BT, kl_BT, *_ = learn(rollout, jnp.array([2.0, 2.0, 2.0]))
  assert masks(rollout)[2].sum() == R
  score_BT = np.asarray(reward_BT + HYPER.kl_coef * kl_BT)
  expected_BT = np.zeros((3, P + R))
  expected_BT[0, 1], expected_BT[1, 3] = 2.0, 2.0
  expected_BT[2, P + R - 1] = 2.0 - HYPER.truncation_penalty
  np.testing.assert_allclose(score_BT, expected_BT, atol=1e-5)


def test_an_end_token_at_once(rollout, learn):
  """Length 1, finite losses and gradients (checklist 10)."""
  assert rollout.length_B[0] - rollout.prompt_length_B[0] == 1
  only = jax.tree.map(lambda x: np.repeat(x[:1], 3, axis=0), rollout)
  for x in jax.tree.leaves(learn(only, jnp.ones(3))):
    assert np.all(np.isfinite(x))
  logits_BTV = bigram.random_table(V)[only.tokens_BT]
  loss = language.next_token_loss(logits_BTV, only.tokens_BT, masks(only))
  assert np.isfinite(loss)


def test_pads_contribute_nothing_to_ppo(rollout, learn):
  """Reward, KL, loss, stats and gradient ignore them (checklist 1, 7)."""
  past_BT = np.arange(P + R) >= rollout.length_B[:, None]
  for fill in (EOS, 3):
    scrambled = rollout._replace(
      tokens_BT=np.where(past_BT, fill, rollout.tokens_BT).astype(np.int32)
    )
    jax.tree.map(
      np.testing.assert_array_equal,
      learn(rollout, jnp.ones(3)),
      learn(scrambled, jnp.ones(3)),
    )


def test_ppo_learns_the_end_token(rollout, learn):
  """Its log-probability has a gradient, that of pads none (checklist 8)."""
  *_, gradient_VV = learn(rollout, jnp.ones(3))
  read = {1, 3, 4, PAD}  # the tokens before reply tokens, PAD being one here
  for token in range(V):
    assert (np.abs(gradient_VV[token]).sum() > 0) == (token in read)
  # The value moves all columns of a row alike, the policy does not.
  assert abs(gradient_VV[1, EOS] - gradient_VV[1, 0]) > 1e-4


def test_losses_of_policies_ignore_what_follows_the_end(rollout):
  """Junk log-probabilities on pads, advantages too (checklist 7)."""
  mask_BT = masks(rollout)
  junk_BT = np.where(mask_BT > 0, rollout.logp_BT, np.nan)
  loss, _ = ppo.policy_loss(junk_BT, junk_BT, junk_BT, mask_BT, 0.2)
  clean_BT = np.nan_to_num(junk_BT)
  expected, _ = ppo.policy_loss(clean_BT, clean_BT, clean_BT, mask_BT, 0.2)
  assert float(loss) == float(expected)


def test_lm_step_learns_the_end_token_and_no_pad():
  """A logit table moves where tokens count, the end too (checklist 8)."""
  tokens_BT = np.array([[1, 2, EOS, PAD, PAD], [3, 1, 4, 2, EOS]], np.int32)
  batch = LMBatch(tokens_BT, np.array([3, 5]), np.array([0, 2]))
  logits_fn = lambda table_BTV, tokens_BT, length_B: table_BTV
  tx = optax.identity()
  state = init_state(jnp.zeros((2, 5, V)), tx)
  step = jax.jit(make_lm_step(logits_fn, tx))
  after, metrics = step(state, batch, jax.random.key(0), LMHyper(1.0))
  moved_BT = np.abs(after.params).sum(-1) > 0
  # Position t predicts t + 1: tokens 1, 2 of row 0, tokens 2, 3, 4 of row 1.
  np.testing.assert_array_equal(moved_BT, [[1, 1, 0, 0, 0], [0, 1, 1, 1, 0]])
  direction = after.params[0, 1] / after.params[0, 1, 0]
  assert direction[EOS] == pytest.approx(-(V - 1), rel=1e-4)
  assert float(metrics['loss']) == pytest.approx(np.log(V), rel=1e-5)
