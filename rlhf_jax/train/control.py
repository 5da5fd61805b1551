"""A controller beside the optimiser: it sets a scalar of the next iteration.

The state of the controller is part of the state of the run, so a checkpoint
holds it and a run that was killed goes on with it.
"""

from typing import Any, NamedTuple

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


class Controller(NamedTuple):
  """Two pure functions.

  Attributes:
    steer: (controller state, hyper) -> hyper of this iteration.
    react: (controller state, metrics) -> the state for the next one; metrics
      are those of the iteration.
  """

  steer: Any
  react: Any


def with_controller(step, controller: Controller):
  """The step of a ControlledState from that of a TrainState.

  Args:
    step: (TrainState, ..., hyper) -> (TrainState, metrics): a step, or PPO's
      iteration.
    controller: Controller.

  Returns:
    step(ControlledState, ..., hyper) -> (ControlledState, metrics).
  """

  def controlled(state, *args):
    *rest, hyper = args
    hyper = controller.steer(state.controller, hyper)
    inner, metrics = step(state.state, *rest, hyper)
    after = controller.react(state.controller, metrics)
    return ControlledState(inner, after), metrics

  return controlled


def adaptive_kl(target, horizon, episodes):
  """Controller of lambda_KL: see `losses.kl.adaptive_kl_coef`.

  Its state is the coefficient, a float32 scalar, which takes the place of
  `hyper.kl_coef`; it reacts to the metric `kl_k1`.

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
  )
