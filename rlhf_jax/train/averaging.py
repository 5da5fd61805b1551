"""Averages of the parameters along a run."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlhf_jax.train.steps import advance
from rlhf_jax.types import Params, TrainState


class AveragedState(NamedTuple):
  """A TrainState and the running average of its parameters.

  Attributes:
    state: what the optimiser works on.
    average: pytree like `state.params`, or like a part of it; the model to
      evaluate and to keep.
  """

  state: TrainState
  average: Params

  @property
  def step(self):
    """Updates done so far: a run names its checkpoints by it."""
    return self.state.step

  @property
  def params(self):
    """Parameters that are trained, and that PPO samples from."""
    return self.state.params


def polynomial_average(average: Any, params: Any, step, eta: float) -> Any:
  """The average after update `step` = 1, 2, ...

    a[t] = (1 - w[t]) a[t-1] + w[t] params[t],   w[t] = (eta + 1) / (t + eta)

  w[1] = 1, so nothing of the start stays. The weights reach back over about
  t / (eta + 1) updates: early points of a learning curve and late ones are
  averaged over the same share of their past. A constant rate so gives the
  last model without the noise of its last steps, at every length of training.

  Reference: Shamir and Zhang 2013 (arXiv:1212.1824), section 4.

  Args:
    average: pytree; any finite values at step 1.
    params: pytree of the same shapes, after the update.
    step: [] number of updates done, at least 1.
    eta: >= 0; 0 is the plain mean of all steps.
  """
  return _nearer(average, params, (eta + 1.0) / (step + eta))


def exponential_average(average: Any, params: Any, decay: float) -> Any:
  """The average after an update, of a decay that stays the same.

    a[t] = decay a[t-1] + (1 - decay) params[t],   a[0] = params[0]

  It reaches back over about 1 / (1 - decay) updates; of the start a share of
  decay^t stays, which nothing corrects.

  Reference: Ouyang et al. 2022 (arXiv:2203.02155), appendix C.4, with a decay
  of 0.992; whether of an update or of an iteration is not stated.

  Args:
    average: pytree; at first the parameters before any update.
    params: pytree of the same shapes, after the update.
    decay: from 0, which keeps the last parameters, to below 1.
  """
  return _nearer(average, params, 1.0 - decay)


def _nearer(average, params, weight):
  """(1 - weight) average + weight params, leaf by leaf."""
  return jax.tree.map(
    lambda a, p: ((1 - weight) * a + weight * p).astype(p.dtype),
    average,
    params,
  )


def with_average(step, eta: float):
  """The step of an AveragedState from the step of a TrainState.

  Args:
    step: (TrainState, batch, rng, hyper) -> (TrainState, metrics); frozen
      trees may stand after the state.
    eta: of `polynomial_average`.
  """

  def averaged(state, *args):
    inner, metrics = step(state.state, *args)
    done = inner.step.astype(jnp.float32)
    average = polynomial_average(state.average, inner.params, done, eta)
    return AveragedState(inner, average), metrics

  return averaged


def make_averaging_advance(decay: float, part=lambda params: params):
  """Builds the `steps.advance` of an AveragedState.

  Args:
    decay: of `exponential_average`, which is taken after every update.
    part: params -> what of them is averaged.
  """

  def averaging(state, grads, tx, learning_rate):
    inner, grad_norm = advance(state.state, grads, tx, learning_rate)
    average = exponential_average(state.average, part(inner.params), decay)
    return AveragedState(inner, average), grad_norm

  return averaging
