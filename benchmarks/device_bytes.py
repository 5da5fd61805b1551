"""Bytes of a training step's arguments on each device, by number of devices.

    env XLA_FLAGS=--xla_force_host_platform_device_count=8 JAX_PLATFORMS=cpu
      python -m benchmarks.device_bytes

The preference-model step is compiled, and not run, for meshes of 1, 2, 4 and 8
devices on the fsdp axis. The bytes are the argument_size_in_bytes of the
compiler's memory analysis, which speaks of one device: parameters, optimiser
state and batch, all of them cut. Prints a JSON object {devices: bytes}; run by
`benchmarks.scaling`, in a process of its own, since the number of devices is
fixed when a process starts.
"""

import argparse
import json

import jax
import jax.numpy as jnp

from benchmarks.memory import shapes_of
from rlhf_jax.models.build import build
from rlhf_jax.models.ladder import config_for
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.sharded import jit_sharded
from rlhf_jax.train.sharding import make_mesh
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper

ROWS, LENGTH = 8, 32


def argument_bytes(config, devices):
  """Bytes on each of the devices of the arguments of a step."""
  model, tx, mesh = build(config), make_optimiser(), make_mesh(devices, fsdp=-1)

  def start(rng):
    return init_state({**model.init(rng), 'head': model.init_head(rng)}, tx)

  rng = jax.random.key(0)
  state = jax.eval_shape(start, rng)
  batch = PairBatch(*shapes_of(ROWS, LENGTH), *shapes_of(ROWS, LENGTH))
  step = jit_sharded(make_pm_step(model.score_fn, tx), mesh, state)
  hyper = PMHyper(jax.ShapeDtypeStruct((), jnp.float32))
  compiled = step.lower(state, batch, rng, hyper).compile()
  return compiled.memory_analysis().argument_size_in_bytes


def main(argv=None):
  """Prints and returns {devices: bytes}."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.device_bytes')
  parser.add_argument('--size', default='810K', help='rung of the ladder')
  parser.add_argument('--vocabulary', type=int, default=1024)
  parser.add_argument('--counts', type=int, nargs='+', default=[1, 2, 4, 8])
  args = parser.parse_args(argv)
  config = config_for(args.size, args.vocabulary)
  found = {
    count: argument_bytes(config, jax.devices()[:count])
    for count in args.counts
  }
  print(json.dumps(found))
  return found


if __name__ == '__main__':
  main()
