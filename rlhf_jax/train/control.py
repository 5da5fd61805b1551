"""A controller beside the optimiser: it sets a scalar of the next iteration.

The state of the controller is part of the state of the run, so a checkpoint
holds it and a run that was killed goes on with it.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from rlhf_jax.losses import kl
from rlhf_jax.types import TrainState


class ControlledState(NamedTuple):
  """A TrainState and the state of a controller.

  Attributes:
    state: what the optimiser works on.
    controller: a pytree of arrays, of the controller's own kind.
  """

  state: TrainState
  controller: Any

  @property
  def step(self):
    """Updates done so far: a run names its checkpoints by it."""
    return self.state.step

  @property
  def params(self):
    """Parameters that are trained."""
    return self.state.params


def _nothing(controller):
  """Shows nothing of a controller's state."""
  del controller
  return {}


class Controller(NamedTuple):
  """Three pure functions.

  Attributes:
    steer: (controller state, hyper) -> hyper of this iteration.
    react: (controller state, metrics) -> the state for the next one; metrics
      are those of the iteration.
    shown: controller state -> dict of scalars that stand among the metrics of
      the iteration that it steered.
  """

  steer: Any
  react: Any
  shown: Any = _nothing


def with_controller(step, controller: Controller):
  """The step of a ControlledState from that of a TrainState.

  Args:
    step: (TrainState, ..., hyper) -> (TrainState, metrics): a step, or PPO's
      iteration.
    controller: Controller.

  Returns:
    step(ControlledState, ..., hyper) -> (ControlledState, metrics).
  """

  @functools.wraps(step)  # whose names of arguments a ledger reads
  def controlled(state, *args):
    *rest, hyper = args
    hyper = controller.steer(state.controller, hyper)
    inner, metrics = step(state.state, *rest, hyper)
    after = controller.react(state.controller, metrics)
    shown = controller.shown(state.controller)
    return ControlledState(inner, after), {**metrics, **shown}

  return controlled


def adaptive_kl(target, horizon, episodes):
  """Controller of lambda_KL: see `losses.kl.adaptive_kl_coef`.

  Its state is the coefficient, a float32 scalar, which takes the place of
  `hyper.kl_coef` and is shown as `kl_coef`; it reacts to the metric `kl_k1`.

  Args:
    target: wanted divergence, nats per reply.
    horizon: episodes over which a full error would change it by 20 percent.
    episodes: replies of an iteration.
  """
  return Controller(
    steer=lambda coef, hyper: hyper._replace(kl_coef=coef),
    react=lambda coef, metrics: kl.adaptive_kl_coef(
      coef, metrics['kl_k1'], episodes, target, horizon
    ),
    shown=lambda coef: {'kl_coef': coef},
  )


def score_scale(score_N, sd=1.0):
  """(gain, bias) that give scores of pi_0 the mean 0 and this deviation.

    gain = sd / sd(score),   bias = - gain mean(score)

  Fitted once, on replies of pi_0, and frozen.

  Reference: Ziegler et al. 2019 (arXiv:1909.08593), section 2.1; Huang et al.
  2024 (arXiv:2403.17031).

  Args:
    score_N: PM scores of replies of pi_0, N >= 2.
    sd: wanted standard deviation (biased, over N); 0: the scale is kept, gain
      1, and the mean alone is taken off.

  Returns:
    Two float32 scalars.

  Raises:
    ValueError: if there are fewer than two scores, or all are equal.
  """
  score_N = np.asarray(score_N, np.float64)
  spread = float(score_N.std()) if len(score_N) > 1 else 0.0
  if not spread > 0:
    raise ValueError(
      f'wanted two different scores of pi_0 or more, got {len(score_N)} that '
      'do not vary: sample more replies'
    )
  gain = sd / spread if sd else 1.0
  return np.float32(gain), np.float32(-gain * score_N.mean())


def frozen_scores():
  """Controller that brings PM scores to the scale fitted on pi_0, and stays.

  Its state is (gain, bias), of `score_scale`: part of the
  checkpoint, and never changed.
  """
  return Controller(
    steer=lambda scale, hyper: hyper._replace(
      reward_gain=scale[0], reward_bias=scale[1]
    ),
    react=lambda scale, metrics: scale,
  )


def together(controllers):
  """One Controller of several; its state is the dict of theirs.

  Args:
    controllers: {name: Controller}; each steers what the one before it has
      left, and reacts to the metrics alone.
  """

  def steer(states, hyper):
    for name, controller in controllers.items():
      hyper = controller.steer(states[name], hyper)
    return hyper

  def shown(states):
    found = {}
    for name, controller in controllers.items():
      found |= controller.shown(states[name])
    return found

  return Controller(
    steer,
    lambda states, metrics: {
      name: controller.react(states[name], metrics)
      for name, controller in controllers.items()
    },
    shown,
  )
