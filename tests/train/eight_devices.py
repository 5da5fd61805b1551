"""Prints what one device and meshes of eight compute, as JSON.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python eight_devices.py
"""

import functools
import json

import jax
import numpy as np
import sharded_toy as toy

from rlhf_jax.train import ledger, sharded
from rlhf_jax.train.sharded import init_sharded, jit_collect, jit_sharded
from rlhf_jax.train.sharding import make_mesh, shard, shardings_of

MESHES = ((8, 1, 1), (2, 2, 2), (1, 4, 2))


def on_one_device():
  """(init, jit_step, jit_collect) without a mesh."""
  jit = lambda function, *_: jax.jit(function)
  return lambda init: jax.jit(init)(toy.rng()), jit, jit


def on_mesh(mesh):
  """The same three on a mesh."""
  return (
    lambda init: init_sharded(init, mesh, toy.rng()),
    lambda step, *trees: jit_sharded(step, mesh, *trees),
    lambda collect, params: jit_collect(collect, mesh, params),
  )


def bytes_on_first_device(tree):
  first = jax.devices()[0]
  return sum(
    shard.data.nbytes
    for leaf in jax.tree.leaves(tree)
    for shard in leaf.addressable_shards
    if shard.device == first
  )


def measure(init, jit_step, jit_collect):
  """PM losses, PPO metrics, a rollout, bytes of the optimiser's state.

  Waits for every step: steps that pile up on faked devices can deadlock.
  """
  pm_state, ppo_state, frozen = map(
    init, (toy.pm_state, toy.ppo_state, toy.frozen)
  )
  rollout = jit_collect(toy.collect(), ppo_state.params)(
    ppo_state.params, toy.prompts(), toy.rng()
  )
  rollout = jax.tree.map(np.asarray, rollout)
  step_fn, losses = jit_step(toy.pm_step(), pm_state), []
  with ledger.no_more_than(1, 'step'):
    for batch in (toy.first_pairs(toy.B), toy.first_pairs(2 * toy.B)):
      batch = jax.tree.map(lambda x: x[-toy.B :], batch)
      pm_state, metrics = step_fn(pm_state, batch, toy.rng(), toy.PM_HYPER)
      losses.append(float(metrics['loss']))
  iteration = jit_step(toy.ppo_iteration(), ppo_state, frozen)
  ppo_state, metrics = iteration(
    ppo_state, frozen, toy.prompts(), toy.rng(), toy.PPO_HYPER
  )
  return {
    'pm': losses,
    'ppo': {name: float(value) for name, value in metrics.items()},
    'tokens': rollout.tokens_BT.tolist(),
    'logp': rollout.logp_BT.tolist(),
    'bytes': bytes_on_first_device(pm_state.opt_state),
  }


def adapter_losses(init, jit_step):
  """Losses of two steps that train adapters over a base."""
  state, base = init(toy.adapter_state), init(toy.base)
  step_fn, losses = jit_step(toy.adapter_step(), state, base), []
  for _ in range(2):
    batch = toy.first_pairs(toy.B)
    state, metrics = step_fn(state, base, batch, toy.rng(), toy.PM_HYPER)
    losses.append(float(metrics['loss']))
  return losses


def tuned_metrics(init, jit_step):
  """Metrics of a PPO iteration that trains adapters over a base."""
  state, frozen = init(toy.tuned_state), init(toy.tuned_frozen)
  step_fn = jit_step(toy.tuned_iteration(), state, frozen)
  args = toy.prompts(), toy.rng(), toy.PPO_HYPER
  _, metrics = step_fn(state, frozen, *args)
  return {name: float(value) for name, value in metrics.items()}


def evaluated(init, in_use):
  """Numbers of a policy's replies, scored in two parts on each device."""
  state, frozen = init(toy.ppo_state), init(toy.frozen)
  out = jax.jit(in_use(toy.evaluation()))(
    state.params['policy'],
    frozen.ref,
    (frozen.reward,),
    toy.prompts(),
    toy.rng(),
  )
  return {name: np.asarray(x).tolist() for name, x in out.items()}


def shard_difference(mesh):
  """Between a state made on one device and then cut, and one made in pieces."""
  whole = jax.jit(toy.pm_state)(toy.rng())
  cut = shard(whole, shardings_of(whole, mesh))
  made = init_sharded(toy.pm_state, mesh, toy.rng())
  same = jax.tree.map(lambda a, b: a.sharding == b.sharding, cut, made)
  assert all(jax.tree.leaves(same))
  gap = lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max())
  return max(jax.tree.leaves(jax.tree.map(gap, cut, made)))


def main():
  out = {'one': measure(*on_one_device())}
  out['adapters'] = [adapter_losses(*on_one_device()[:2])]
  for data, fsdp, model in MESHES:
    mesh = make_mesh(data=data, fsdp=fsdp, model=model)
    out[f'{data},{fsdp},{model}'] = measure(*on_mesh(mesh))
    if data == 8:
      init, jit_step, _ = on_one_device()
      out['tuned'] = [tuned_metrics(init, jit_step)]
      out['evaluated'] = [evaluated(init, lambda function: function)]
      init, jit_step, _ = on_mesh(mesh)
      out['tuned'].append(tuned_metrics(init, jit_step))
      in_use = functools.partial(sharded.on_mesh, mesh=mesh)
      out['evaluated'].append(evaluated(init, in_use))
    if data in (8, fsdp):  # rows of their own, and weights that are cut
      out['adapters'].append(adapter_losses(*on_mesh(mesh)[:2]))
  out['shard_difference'] = shard_difference(mesh)
  print(json.dumps(out))


if __name__ == '__main__':
  main()
