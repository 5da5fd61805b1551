"""Stages one after another in a process: alone, or as one of several.

    python several_jobs.py --jobs=JOBS.json [--distributed=HOST:PORT ...]

JOBS.json lists {'module', 'config', 'workdir', 'options'}; with options a stage
is called with them, the workdir among them, in a folder that is made for it
('made') or as it is ('its own'). Beside it
JOBS.ID.json gets [rows, rows of this process] of every array of the host that a
program was given.

Tokens are drawn otherwise than the library does. It finds a number between
running sums of probabilities, of which a vocabulary of 320 has 320: one in some
thousand draws lies within rounding of one, and another number of rows a device
rounds otherwise. The largest of perturbed logits has one border.
"""

import contextlib
import importlib
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from experiments.shared import devices
from rlhf_jax.rollout import generate
from rlhf_jax.train import distributed, hosts
from rlhf_jax.train.apart import apart

ROWS = []
JOBS = flags.DEFINE_string('jobs', None, 'File of the jobs.')
START = distributed.define_flags()


def draw_by_noise(logits_BV, uniform_B):
  """`sample_token` by Gumbel noise that is a hash of a row's number."""
  logp_BV = jax.nn.log_softmax(logits_BV.astype(jnp.float32), axis=-1)
  bits_B = (uniform_B * 2**24).astype(jnp.uint32)
  place_V = jnp.arange(logp_BV.shape[1], dtype=jnp.uint32)
  x_BV = bits_B[:, None] * jnp.uint32(2654435761)
  x_BV = x_BV ^ (place_V * jnp.uint32(2246822519))
  x_BV = (x_BV ^ (x_BV >> 15)) * jnp.uint32(3266489917)
  noise_BV = ((x_BV >> 9).astype(jnp.float32) + 0.5) / 2**23
  token_B = jnp.argmax(logp_BV - jnp.log(-jnp.log(noise_BV)), axis=1)
  logp_B = jnp.take_along_axis(logp_BV, token_B[:, None], 1)[:, 0]
  return token_B.astype(jnp.int32), logp_B


def note_rows():
  """Notes the rows of what is put on the mesh."""
  placed = devices.placed

  def noted(tree, mesh):
    out = placed(tree, mesh)
    for before, after in zip(*map(jax.tree.leaves, (tree, out)), strict=True):
      if isinstance(before, np.ndarray) and before.ndim:
        own = {
          shard.index[0].indices(len(before))[:2]
          for shard in after.addressable_shards
        }
        ROWS.append([len(before), sum(b - a for a, b in own)])
    return out

  devices.placed = noted


def main(_):
  START()
  note_rows()
  generate.sample_token = draw_by_noise
  with distributed.together():
    for job in json.loads(pathlib.Path(JOBS.value).read_text()):
      stage = importlib.import_module(f'experiments.{job["module"]}')
      if job['options']:
        both = apart(job['workdir']), contextlib.nullcontext(job['workdir'])
        with both[job['options'] == 'its own'] as own:
          stage.run(job['config'] | {'workdir': own})
      else:
        stage.run(job['config'], pathlib.Path(job['workdir']))
  file = pathlib.Path(JOBS.value)
  file.with_name(f'{file.stem}.{hosts.index()}.json').write_text(
    json.dumps(ROWS)
  )


if __name__ == '__main__':
  sys.exit(app.run(main))
