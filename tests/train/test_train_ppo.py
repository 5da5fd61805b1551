"""Ratios, values and gradients of PPO with a Transformer, ragged prompts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_fixture as fixture

from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.train import ppo, ppo_update
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import Prompts

RNG = jax.random.key(3)
TEMPERATURES = [0.7, 1.0]


def collected(model, params, temperature):
  """Replies of the Transformer through its cache, to ragged prompts."""
  collect = make_collect(
    SamplingConfig(
      max_reply=4, stop_ids=(1,), pad_id=0, temperature=temperature
    ),
    prefill_fn=model.prefill_fn,
    decode_fn=model.decode_fn,
  )
  tokens_BP = np.random.default_rng(0).integers(2, 12, (8, 5))
  length_B = np.int32([1, 5, 2, 4, 3, 5, 1, 2])
  tokens_BP = np.int32(np.where(np.arange(5) < length_B[:, None], tokens_BP, 0))
  prompts = Prompts(tokens_BP, length_B, np.arange(8, dtype=np.int32))
  return jax.jit(collect)(params, prompts, RNG)


@pytest.fixture(scope='module')
def rollouts(model, model_params):
  return {t: collected(model, model_params, t) for t in TEMPERATURES}


@pytest.fixture(scope='module')
def experience(model, model_params, rollouts):
  """From the replies at temperature 0.7, with rewards that are made up."""
  rollout = rollouts[0.7]
  noise_BT = np.random.default_rng(1).normal(size=rollout.tokens_BT.shape)
  estimate = jax.jit(ppo.make_estimate(model.value_fn))
  return estimate(model_params, rollout, jnp.float32(noise_BT), fixture.hyper())


@pytest.mark.parametrize('temperature', TEMPERATURES)
def test_equal_models_have_no_penalty(
  model, model_params, rollouts, temperature
):
  """Exactly 0 by the scorer, 1e-4 a reply by the sampler (checklist 43)."""
  rollout = rollouts[temperature]
  penalise = ppo.make_penalise(model.logits_fn, temperature=temperature)
  hyper = fixture.hyper(kl_coef=1.0)

  @jax.jit
  def both(actor, ref):
    scored = fixture.scored(model.logits_fn, actor, rollout, temperature)
    return [penalise(ref, r, jnp.zeros(8), hyper)[0] for r in (scored, rollout)]

  scorer_BT, sampler_BT = both(model_params, model_params)
  np.testing.assert_array_equal(scorer_BT, 0.0)
  assert np.abs(sampler_BT.sum(1)).max() < 1e-4
  other_BT = ppo.make_penalise(model.logits_fn, temperature=1.3)(
    model_params, rollout, jnp.zeros(8), hyper
  )[0]
  assert np.abs(other_BT.sum(1)).max() > 1e-2  # a wrong one would be seen


@pytest.fixture(scope='module')
def inner_passes(model, model_params, experience):
  """Metrics of two passes of two minibatches over ragged replies."""
  tx = optax.scale_by_adam()
  update = ppo_update.make_ppo_update(
    ppo_update.separate(
      model.logits_fn,
      lambda params, *args: model.value_fn(params, *args),
    ),
    tx,
    passes=2,
    minibatch_size=4,
    temperature=0.7,
  )
  params = {'policy': model_params, 'value': model_params}
  state, metrics = jax.jit(update)(
    init_state(params, tx), experience, RNG, fixture.hyper(0.01)
  )
  assert int(state.step) == 4
  return {name: np.asarray(values) for name, values in metrics.items()}


def test_the_first_minibatch_has_a_ratio_of_one(inner_passes):
  """Ratio 1 +- 1e-5, KL and clip fraction 0 (checklist 44)."""
  assert inner_passes['ratio_mean'][0] == pytest.approx(1.0, abs=1e-5)
  assert abs(inner_passes['approx_kl'][0]) < 1e-9
  assert inner_passes['clip_fraction'][0] == 0.0


def test_every_token_of_the_first_minibatch_has_a_ratio_of_one(
  model, model_params, rollouts
):
  """Not only in the mean (checklist 44)."""
  rollout = rollouts[0.7]
  scored = fixture.scored(model.logits_fn, model_params, rollout, 0.7)
  ratio_BT = np.exp(scored.logp_BT - rollout.logp_BT)
  np.testing.assert_allclose(ratio_BT, 1.0, atol=1e-5)
  assert np.abs(rollout.logp_BT).max() > 1.0


def test_later_minibatches_have_other_ratios(inner_passes):
  """The old log-probabilities are frozen (checklist 45)."""
  assert all(np.abs(inner_passes['ratio_mean'][1:] - 1.0) > 1e-4)
  assert all(inner_passes['approx_kl'][2:] > 1e-4)
  assert inner_passes['clip_fraction'][-1] > 0.0


def value_at_replies(model, params, rollout):
  estimate = ppo.make_estimate(model.value_fn)
  zeros_BT = jnp.zeros(rollout.tokens_BT.shape)
  return jax.jit(estimate)(
    params, rollout, zeros_BT, fixture.hyper()
  ).old_value_BT


def test_a_zero_head_gives_first_values_of_exactly_zero(
  model, model_params, rollouts
):
  """(checklist 61)"""
  head = model.init_head(RNG, 'zero')
  params = model_params | {'head': head}
  value_BT = value_at_replies(model, params, rollouts[1.0])
  np.testing.assert_array_equal(value_BT, 0.0)


def test_a_copied_preference_model_gives_its_scores_as_first_values(
  model, model_params, rollouts
):
  """The value before token t is the score of the prefix (checklist 61)."""
  rollout = rollouts[1.0]
  value_BT = value_at_replies(model, model_params, rollout)
  last_B = rollout.length_B - 1  # the state before the last token
  score_B = jax.jit(model.score_fn)(model_params, rollout.tokens_BT, last_B)
  picked_B = np.take_along_axis(np.asarray(value_BT), last_B[:, None], 1)[:, 0]
  np.testing.assert_allclose(picked_B, score_B, rtol=1e-5)


def value_gradient(joint, params, experience, value_coef):
  """Gradient of the loss with advantages of 0: the value's part alone."""
  part = experience._replace(advantage_BT=0 * experience.advantage_BT)
  loss = ppo_update.make_ppo_loss(
    joint, fixture.hyper(value_coef=value_coef), temperature=0.7
  )
  return jax.jit(jax.grad(lambda p: loss(p, part)[0]))(params)


def test_a_separate_value_network_leaves_the_policy_alone(
  model, model_params, experience
):
  """No value gradient in the policy (checklist 62)."""
  joint = ppo_update.separate(model.logits_fn, model.value_fn)
  params = {'policy': model_params, 'value': model_params}
  grads = value_gradient(joint, params, experience, 1.0)
  for leaf in jax.tree.leaves(grads['policy']):
    np.testing.assert_array_equal(leaf, 0.0)
  assert float(optax.tree.norm(grads['value']['trunk'])) > 1e-2


def test_a_shared_trunk_gets_the_value_gradient(
  model, model_params, experience
):
  """In proportion to value_coef (checklist 62)."""
  joint = model.logits_and_value_fn
  one, half, none = (
    value_gradient(joint, model_params, experience, coef)
    for coef in (1.0, 0.5, 0.0)
  )
  norm = lambda grads: float(optax.tree.norm(grads['trunk']))
  assert norm(one) > 1e-2
  assert norm(half) == pytest.approx(norm(one) / 2, rel=1e-4)
  assert norm(none) == 0.0
