"""Prints what one device and a mesh of eight make of a folder, as JSON.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python ... FOLDER
"""

import functools
import json
import sys

import jax
import numpy as np

from rlhf_jax.models.build import build
from rlhf_jax.models.pretrained.folder import load_folder
from rlhf_jax.train.sharding import make_mesh, shardings_of

TOKENS_BT = np.arange(16, dtype=np.int32).reshape(2, 8)


def main(folder):
  one = load_folder(folder)
  logits = lambda got: jax.jit(build(got.config).logits_fn)(
    got.params, TOKENS_BT, np.array([8, 5])
  )
  found = {'one': np.asarray(logits(one)).tolist()}
  mesh = make_mesh(data=2, fsdp=2, model=2)
  with jax.set_mesh(mesh):
    got = load_folder(
      folder, shardings_of=functools.partial(shardings_of, mesh=mesh)
    )
    found['mesh'] = np.asarray(logits(got)).tolist()
  kernel = got.params['trunk']['layer_0']['mlp']['in']['kernel']
  found['spec'] = str(kernel.sharding.spec)
  found['parts'] = [list(x.data.shape) for x in kernel.addressable_shards]
  found['bytes'] = [
    sum(x.nbytes for x in jax.tree.leaves(one.params)),
    sum(
      shard.data.nbytes
      for leaf in jax.tree.leaves(got.params)
      for shard in leaf.addressable_shards
      if shard.device == jax.devices()[0]
    ),
  ]
  print(json.dumps(found))


if __name__ == '__main__':
  main(sys.argv[1])
