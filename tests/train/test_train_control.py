"""The state of a controller: used, changed, kept and restored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import train_fixture as fixture

from rlhf_jax.data.pipeline import Batches
from rlhf_jax.losses.kl import adaptive_kl_coef
from rlhf_jax.train.control import (
  ControlledState,
  Controller,
  adaptive_kl,
  frozen_scores,
  score_scale,
  together,
  with_controller,
)
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import LMBatch, LMHyper, PPOHyper

RNG, TOTAL = jax.random.key(0), 6


class Killed(KeyboardInterrupt):
  """Leaves the training loop like Ctrl-C."""


def toy_step(state, batch, rng, hyper):
  """Adds the rate to a number; no optimiser."""
  del rng
  rows = jnp.float32(batch.length_B).mean()
  params = state.params + hyper.learning_rate * rows
  return state._replace(step=state.step + 1, params=params), {'seen': params}


# Halves the rate whenever the number is above 1, and counts how often.
TOY = Controller(
  steer=lambda c, hyper: hyper._replace(learning_rate=c['rate']),
  react=lambda c, metrics: {
    'rate': jnp.where(metrics['seen'] > 1.0, c['rate'] / 2, c['rate']),
    'times': c['times'] + (metrics['seen'] > 1.0),
  },
)


def start():
  tx = make_optimiser()
  state = init_state(jnp.float32(0.0), tx)
  return ControlledState(
    state, {'rate': jnp.float32(0.3), 'times': jnp.int32(0)}
  )


def toy_run(workdir, stop_after=None):
  """TOTAL steps, a checkpoint after every second."""
  length_N = np.arange(1, 13, dtype=np.int32)
  rows = LMBatch(np.zeros((12, 1), np.int32), length_N, length_N)
  batches = Batches(rows, 2, seed=0)
  step = jax.jit(with_controller(toy_step, TOY))
  with Run(workdir, {'what': 'toy'}) as run:
    state = run.restore(start(), batches)
    for i in run.progress(int(state.step), TOTAL):
      if i == stop_after:
        raise Killed
      state, metrics = step(state, next(batches), RNG, LMHyper(99.0))
      run.log(int(state.step), metrics)
      if (i + 1) % 2 == 0:
        run.save(state, batches)
  return state, (workdir / 'metrics.jsonl').read_bytes()


def test_a_killed_run_goes_on_with_the_state_of_its_controller(tmp_path):
  """Stopped one step past a checkpoint; bit for bit."""
  whole, log = toy_run(tmp_path / 'whole')
  with pytest.raises(Killed):
    toy_run(tmp_path / 'broken', stop_after=5)
  again, log_again = toy_run(tmp_path / 'broken')
  assert fixture.digest(again) == fixture.digest(whole)
  assert log_again == log
  assert 0 < int(whole.controller['times']) < TOTAL
  assert float(whole.controller['rate']) < 0.3
  with Run(tmp_path / 'broken', {'what': 'toy'}) as run:
    stored = run.restore(start())
  assert fixture.digest(stored) == fixture.digest(whole)


def test_the_controller_steers_the_step_in_place_of_the_caller():
  """By hand: 0.3 of the mean length, halved from the first above 1."""
  step = jax.jit(with_controller(toy_step, TOY))
  batch = LMBatch(np.int32([[0]]), np.int32([2]), np.int32([0]))
  state, seen = start(), []
  for _ in range(4):
    state, metrics = step(state, batch, RNG, LMHyper(99.0))
    seen.append(float(metrics['seen']))
  np.testing.assert_allclose(seen, [0.6, 1.2, 1.5, 1.65], rtol=1e-6)
  assert int(state.step) == 4 and float(state.params) == seen[-1]
  assert int(state.controller['times']) == 3


@pytest.mark.slow  # compiles PPO twice
def test_the_kl_coefficient_follows_the_divergence_of_a_ppo_run(
  iteration, frozen
):
  """Each iteration is penalised with the coefficient that the last one left.

  An iteration is 8 episodes, of four updates (checklist 52).
  """
  tx, inner = iteration
  target, horizon, episodes = 0.05, 40.0, 8
  controlled = jax.jit(
    with_controller(
      fixture.bigram_iteration(tx), adaptive_kl(target, horizon, episodes)
    )
  )
  start = lambda: init_state(fixture.bigram_params(0), tx)
  plain, coef = start(), 0.2
  state = ControlledState(start(), jnp.float32(coef))
  for _ in range(3):
    plain, expected = inner(
      plain, frozen, fixture.PROMPTS, RNG, fixture.hyper(0.05, kl_coef=coef)
    )
    state, metrics = controlled(
      state, frozen, fixture.PROMPTS, RNG, fixture.hyper(0.05, kl_coef=7.0)
    )
    used, coef = (
      coef,
      float(
        adaptive_kl_coef(coef, expected['kl_k1'], episodes, target, horizon)
      ),
    )
    assert float(metrics.pop('kl_coef')) == pytest.approx(used, rel=1e-5)
    assert float(state.controller) == pytest.approx(coef, rel=1e-5)
    fixture.assert_close(metrics, expected, rtol=1e-3, atol=1e-5)
  assert coef > 0.21


def test_scores_of_pi_0_get_mean_0_and_deviation_1():
  """By hand: 1, 3, 5, 7 have mean 4 and deviation sqrt(5) (checklist 25)."""
  gain, bias = score_scale([1.0, 3.0, 5.0, 7.0])
  assert (gain.dtype, bias.dtype) == (np.float32, np.float32)
  assert gain == pytest.approx(5**-0.5) and bias == pytest.approx(-4 * 5**-0.5)
  scaled_N = gain * np.array([1.0, 3.0, 5.0, 7.0]) + bias
  assert scaled_N.mean() == pytest.approx(0, abs=1e-6)
  assert scaled_N.std() == pytest.approx(1)
  gain, bias = score_scale([1.0, 3.0, 5.0, 7.0], sd=0.5)
  assert (gain, bias) == pytest.approx((0.5 * 5**-0.5, -4 * 0.5 * 5**-0.5))
  assert score_scale([1.0, 3.0, 5.0, 7.0], sd=0.0) == (1.0, -4.0)
  for scores in ([2.0], [2.0, 2.0]):
    with pytest.raises(ValueError, match='two different scores of pi_0'):
      score_scale(scores)


def test_a_fitted_scale_stays_whatever_comes():
  """It steers gain and bias, and reacts to nothing (checklist 25)."""
  controller, scale = frozen_scores(), (jnp.float32(2.0), jnp.float32(-1.0))
  hyper = controller.steer(scale, PPOHyper(0.1, 0.1))
  assert (float(hyper.reward_gain), float(hyper.reward_bias)) == (2, -1)
  assert controller.react(scale, {'score': 99.0, 'kl_k1': 99.0}) is scale
  assert controller.shown(scale) == {}


def test_controllers_together_keep_a_state_each():
  both = together({'scores': frozen_scores(), 'kl': adaptive_kl(6.0, 100, 10)})
  states = {'scores': (3.0, 1.0), 'kl': jnp.float32(0.5)}
  hyper = both.steer(states, PPOHyper(0.1, 0.1, kl_coef=9.0))
  assert (hyper.reward_gain, hyper.reward_bias) == (3.0, 1.0)
  assert hyper.kl_coef == 0.5 and both.shown(states) == {'kl_coef': 0.5}
  after = both.react(states, {'kl_k1': jnp.float32(60.0)})
  assert after['scores'] == (3.0, 1.0)
  # Ten times the target is an error of .2, for 10 of 100 episodes.
  assert float(after['kl']) == pytest.approx(0.5 * 1.02)
