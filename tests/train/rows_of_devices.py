"""Prints FLOPs of a step on each of eight devices over an eighth of one's.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python rows_of_devices.py

Nothing is run: {"data,fsdp,model": ratio}, from the compiler's cost analysis.
"""

import json

import jax
import jax.numpy as jnp

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.sharded import jit_sharded
from rlhf_jax.train.sharding import make_mesh
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper

CONFIG = TransformerConfig(512, 2, 64, 4)
MESHES = ((8, 1, 1), (1, 8, 1), (1, 4, 2))
B, T = 16, 32


def flops(mesh=None):
  """FLOPs that one device does in a preference-model step."""
  model, tx = build(CONFIG), make_optimiser()
  key = jax.eval_shape(lambda: jax.random.key(0))
  make = lambda rng: init_state(
    model.init(rng) | {'head': model.init_head(rng)}, tx
  )
  state = jax.eval_shape(make, key)
  step = make_pm_step(model.score_fn, tx)
  jitted = jit_sharded(step, mesh, state) if mesh else jax.jit(step)
  tokens = jax.ShapeDtypeStruct((B, T), jnp.int32)
  length = jax.ShapeDtypeStruct((B,), jnp.int32)
  batch = PairBatch(tokens, length, tokens, length)
  lowered = jitted.lower(state, batch, key, PMHyper(1e-3))
  return lowered.compile().cost_analysis()['flops']


def main():
  one = flops()
  found = {}
  for sizes in MESHES:
    mesh = make_mesh(**dict(zip(('data', 'fsdp', 'model'), sizes, strict=True)))
    found[','.join(map(str, sizes))] = 8 * flops(mesh) / one
  print(json.dumps(found))


if __name__ == '__main__':
  main()
