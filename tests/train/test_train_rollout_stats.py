"""Numbers of health on the device, against naive twins and planted replies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import train_fixture as tiny

from rlhf_jax.losses import kl
from rlhf_jax.rollout.generate import make_collect
from rlhf_jax.train import health, ppo, rollout_stats
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import Rollout

RNG = np.random.default_rng(0)


def rows(B=5, T=9, V=3):
  """(tokens, mask): ragged replies of few tokens, so that pairs come again."""
  tokens_BT = RNG.integers(0, V, (B, T)).astype(np.int32)
  start_B, end_B = RNG.integers(0, 4, B), RNG.integers(4, T + 1, B)
  place_BT = np.arange(T)[None]
  mask_BT = (place_BT >= start_B[:, None]) & (place_BT < end_B[:, None])
  return tokens_BT, mask_BT.astype(np.float32)


def naive_repeated(tokens_BT, mask_BT):
  again = []
  for tokens_T, mask_T in zip(tokens_BT, mask_BT, strict=True):
    reply, seen = tokens_T[mask_T > 0].tolist(), set()
    for pair in zip(reply, reply[1:], strict=False):
      again.append(pair in seen)
      seen.add(pair)
  return np.mean(again) if again else 0.0


def test_repeated_pairs_are_those_of_a_loop_over_each_reply():
  """Pairs outside of the reply, or half in it, do not count (checklist 80)."""
  tokens_BT, mask_BT = rows()
  found = jax.jit(rollout_stats.repeated_share)(tokens_BT, mask_BT)
  np.testing.assert_allclose(found, naive_repeated(tokens_BT, mask_BT))
  assert 0 < found < 1
  circle = np.tile(np.int32([1, 2, 3]), 3)[None]
  ones = np.ones((1, 9))
  # Eight pairs, of which three are new.
  np.testing.assert_allclose(
    rollout_stats.repeated_share(circle, ones), 5 / 8, rtol=1e-6
  )
  assert rollout_stats.repeated_share(circle, ones * 0) == 0


def test_the_correlation_is_pearson_s_and_0_without_variance():
  """Exact on hand data (checklist 81)."""
  x, y = RNG.normal(size=(2, 40))
  np.testing.assert_allclose(
    rollout_stats.correlation(x, y), np.corrcoef(x, y)[0, 1], rtol=1e-5
  )
  assert rollout_stats.correlation(x, np.ones(40)) == 0
  assert np.isfinite(rollout_stats.correlation(x, np.full(40, np.nan)))


def test_k3_is_that_of_the_two_log_probabilities():
  logp, ref = np.float32(RNG.normal(size=(2, 30)))
  np.testing.assert_allclose(
    rollout_stats.k3_of_k1(kl.kl_k1(logp, ref)),
    kl.kl_k3(logp, ref),
    rtol=2e-5,
    atol=1e-6,
  )


def test_stats_are_means_over_replies():
  tokens_BT, mask_BT = rows()
  logp_BT = np.float32(RNG.normal(-1, 0.3, mask_BT.shape)) * mask_BT
  length_B = mask_BT.sum(1).astype(np.int32)
  rollout = Rollout(tokens_BT, 0 * length_B, length_B, length_B > 0, logp_BT)
  kl_BT = 0.1 * mask_BT
  found = rollout_stats.rollout_stats(rollout, length_B * 2.0, kl_BT, mask_BT)
  np.testing.assert_allclose(
    found['entropy'], -logp_BT.sum() / mask_BT.sum(), rtol=1e-5
  )
  each = np.expm1(-0.1) + 0.1
  np.testing.assert_allclose(found['kl_k3'], each * length_B.mean(), rtol=1e-4)
  np.testing.assert_allclose(found['length_score'], 1.0, rtol=1e-5)


@pytest.fixture(scope='module')
def learned():
  """(temperature of the sampler, scores) -> metrics of an iteration."""
  tx = make_optimiser()
  learn = jax.jit(ppo.make_learn(*tiny.bigram_pieces(tx)[1:]))
  params = tiny.bigram_params(0, scale=2.0)

  def metrics(temperature=1.0, score_B=None):
    sampling = tiny.SAMPLING._replace(temperature=temperature)
    collect = make_collect(sampling, logits_fn=tiny.bigram_logits)
    rollout = collect(params['policy'], tiny.PROMPTS, jax.random.key(0))
    score_B = jnp.arange(8.0) if score_B is None else score_B
    state = init_state(jax.tree.map(jnp.copy, params), tx)
    _, found = learn(
      state,
      params['policy'],
      rollout,
      score_B,
      jax.random.key(1),
      tiny.hyper(0.01),
    )
    return {name: float(x) for name, x in found.items()}

  return metrics


def names(metrics):
  """Signs of a run whose rows are all these metrics."""
  return {sign.name for sign in health.judge(health.history_of([metrics] * 9))}


@pytest.mark.slow  # trains; the rule itself is tested on rows
def test_a_sampler_at_another_temperature_is_found_by_the_panel(learned):
  """The first ratio is 1 in a healthy iteration (checklist 44)."""
  healthy, sick = learned(), learned(temperature=0.5)
  np.testing.assert_allclose(healthy['first_ratio'], 1.0, atol=1e-5)
  np.testing.assert_allclose(healthy['first_kl'], 0.0, atol=1e-9)
  assert not {'first_ratio', 'kl_estimators', 'nonfinite'} & names(healthy)
  assert 'first_ratio' in names(sick) - names(healthy)


@pytest.mark.slow  # as above
def test_an_infinite_reward_is_found_by_the_panel(learned):
  sick = learned(score_B=jnp.arange(8.0).at[3].set(jnp.inf))
  assert 'nonfinite' in names(sick)
  assert np.isfinite(sick['length_score'])


def test_a_token_that_pi_0_rules_out_is_logged_with_a_clamped_divergence():
  """-inf in its logits: 30 nats, in reward and log alike (checklist 55)."""
  policy = tiny.bigram_params(0)['policy']
  ref = {'table_VV': tiny.bigram_params(1)['policy']['table_VV']}
  ref['table_VV'] = ref['table_VV'].at[:, 2].set(-jnp.inf)
  tokens_BT = np.int32([[1, 2, 3, 0], [4, 5, 1, 2]])
  length_B = np.int32([3, 4])
  rollout = Rollout(
    tokens_BT, np.int32([1, 1]), length_B, np.array([True, True]), None
  )
  logps = ppo.make_reply_logps(tiny.bigram_logits)
  mask_BT = np.asarray(tiny.mask_of(rollout))
  logp_BT, ref_BT = (
    np.asarray(logps(params, rollout)) for params in (policy, ref)
  )
  rollout = rollout._replace(logp_BT=jnp.float32(logp_BT * mask_BT))
  penalise = ppo.make_penalise(tiny.bigram_logits)
  score_B, hyper = np.float32([0.5, -1.0]), tiny.hyper(kl_coef=0.25)
  reward_BT, kl_BT = penalise(ref, rollout, score_B, hyper)
  ruled_out = (tokens_BT == 2) & (mask_BT > 0)
  assert ruled_out.sum() == 2 and np.isneginf(ref_BT[ruled_out]).all()
  gap_BT = np.where(mask_BT > 0, logp_BT - ref_BT, 0.0)
  k1_BT = np.where(ruled_out, kl.MAX_LOG_RATIO, gap_BT)
  np.testing.assert_allclose(kl_BT, k1_BT, rtol=1e-5, atol=1e-6)
  logged = ppo.rollout_metrics(rollout, score_B, kl_BT)
  assert all(np.isfinite(x).all() for x in logged.values())
  total_B = k1_BT.sum(1)
  assert float(logged['kl_k1']) == pytest.approx(total_B.mean(), rel=1e-5)
  assert total_B.min() > 0.8 * kl.MAX_LOG_RATIO
  np.testing.assert_allclose(
    np.asarray(reward_BT).sum(1), score_B - 0.25 * total_B, rtol=1e-5
  )
