"""One of two processes that add numbers up; one is killed on the way.

python one_dies.py --dies=1 --distributed=HOST:PORT --num_processes=2
  --process_id=0
"""

import os
import signal
import sys

import jax
import numpy as np
from absl import flags

from rlhf_jax.train import distributed
from rlhf_jax.train.sharding import global_batch, make_mesh, replicated


def main():
  start = distributed.define_flags()
  dies = flags.DEFINE_integer('dies', 1, 'Which is killed.')
  flags.FLAGS(sys.argv)
  start()
  mesh = make_mesh(data=-1)
  rows = np.float32([1.0, 2.0]) + 2 * jax.process_index()
  x = global_batch(rows, mesh, 4)
  total = jax.jit(lambda x: x.sum(), out_shardings=replicated(mesh))
  with distributed.together():
    for i in range(1000):
      if i == 3 and jax.process_index() == dies.value:
        os.kill(os.getpid(), signal.SIGKILL)
      print(float(total(x)), file=sys.__stdout__, flush=True)


if __name__ == '__main__':
  main()
