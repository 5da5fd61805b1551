"""Prints what the compiler says of programs for eight devices, as JSON.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python rows_of_devices.py

Nothing is run. `shares`: FLOPs of a step on each device over an eighth of one
device's; `sums`: all-reduces of a step that accumulates gradients, inside its
loops and outside; `sampler`: those of a sampler.
"""

import json
import re

import jax
import jax.numpy as jnp

from rlhf_jax.models.build import build
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.rollout.generate import SamplingConfig, make_collect
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.sharded import jit_collect, jit_sharded
from rlhf_jax.train.sharding import make_mesh
from rlhf_jax.train.steps import init_state, make_pm_step
from rlhf_jax.types import PairBatch, PMHyper, Prompts

CONFIG = TransformerConfig(512, 2, 64, 4)
MESHES = ((8, 1, 1), (1, 8, 1), (1, 4, 2))
B, T = 16, 32


def compile_step(mesh=None, microbatches=1):
  """A compiled preference-model step."""
  model, tx = build(CONFIG), make_optimiser()
  key = jax.eval_shape(lambda: jax.random.key(0))
  make = lambda rng: init_state(
    model.init(rng) | {'head': model.init_head(rng)}, tx
  )
  state = jax.eval_shape(make, key)
  step = make_pm_step(model.score_fn, tx, microbatches=microbatches)
  jitted = jit_sharded(step, mesh, state) if mesh else jax.jit(step)
  tokens = jax.ShapeDtypeStruct((B, T), jnp.int32)
  length = jax.ShapeDtypeStruct((B,), jnp.int32)
  batch = PairBatch(tokens, length, tokens, length)
  lowered = jitted.lower(state, batch, key, PMHyper(1e-3))
  return lowered.compile()


def all_reduces(compiled):
  """(inside loops, outside): how often the program adds over devices.

  A computation that a loop's body calls counts as inside it.
  """
  blocks = re.split(r'\n(?=%|ENTRY)', compiled.as_text())
  named = {re.match(r'(?:ENTRY )?%?([\w.-]+)', b)[1]: b for b in blocks[1:]}
  inside = set(re.findall(r'body=%?([\w.-]+)', compiled.as_text()))
  while True:
    called = {
      name
      for block in inside
      for name in re.findall(
        r'(?:calls|to_apply|body)=%?([\w.-]+)', named[block]
      )
    }
    if called <= inside:
      break
    inside |= called
  count = {name: block.count(' all-reduce(') for name, block in named.items()}
  looped = sum(count[name] for name in inside)
  return looped, sum(count.values()) - looped


def compile_sampler(mesh):
  """A compiled sampler that stops when all rows are done."""
  model = build(CONFIG)
  collect = make_collect(
    SamplingConfig(max_reply=8, stop_ids=(1,), pad_id=0),
    prefill_fn=model.prefill_fn,
    decode_fn=model.decode_fn,
  )
  key = jax.eval_shape(lambda: jax.random.key(0))
  params = jax.eval_shape(model.init, key)
  ints = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32)
  prompts = Prompts(ints(B, T), ints(B), ints(B))
  return (
    jit_collect(collect, mesh, params).lower(params, prompts, key).compile()
  )


def main():
  flops = lambda mesh=None: compile_step(mesh).cost_analysis()['flops']
  one = flops()
  shares = {}
  for sizes in MESHES:
    mesh = make_mesh(**dict(zip(('data', 'fsdp', 'model'), sizes, strict=True)))
    shares[','.join(map(str, sizes))] = 8 * flops(mesh) / one
  mesh = make_mesh(data=8)
  found = {
    'shares': shares,
    'sums': all_reduces(compile_step(mesh, microbatches=B)),
    'sampler': all_reduces(compile_sampler(mesh)),
  }
  print(json.dumps(found))


if __name__ == '__main__':
  main()
