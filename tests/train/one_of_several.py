"""One of several processes that train together; prints JSON.

    python one_of_several.py DIR --coordinator=HOST:PORT --num_processes=2
      --process_id=0

DIR/from_one holds a checkpoint that one process wrote, to go on from.
"""

import json
import pathlib
import sys

import jax
import sharded_toy as toy
from absl import flags

from rlhf_jax.train import distributed
from rlhf_jax.train.sharded import init_sharded
from rlhf_jax.train.sharding import local_rows, make_mesh


def main():
  start = distributed.define_flags()
  _, workdir = flags.FLAGS(sys.argv)
  start()
  workdir = pathlib.Path(workdir)
  mesh = make_mesh(fsdp=-1)
  state = init_sharded(toy.pm_state, mesh, toy.rng())
  out = {
    'processes': jax.process_count(),
    'devices': jax.device_count(),
    'rows': local_rows(toy.B, mesh).tolist(),
    'spans': not state.params['trunk']['embed'].is_fully_addressable,
    'begun': toy.train_pm(workdir / 'from_two', mesh, 2),
    'resumed': toy.train_pm(workdir / 'from_one', mesh, 4),
    'ppo': toy.run_ppo(mesh),
  }
  print(json.dumps(out))


if __name__ == '__main__':
  main()
