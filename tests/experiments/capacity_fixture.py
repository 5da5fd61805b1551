"""A planned row made of the analytic counts themselves: no compiler."""

import copy
import math

from configs.plan import get_config
from experiments.capacity import estimates
from experiments.capacity.job import missing, model_config
from experiments.capacity.verdict import axes_of, verdict

VERSIONS = {'jax': '1.2', 'libtpu': '3.4'}


def settings():
  """The config as a plain dict."""
  return copy.deepcopy(get_config().to_dict())


def _programs(name, job, depth, mesh, scale, line):
  """What a compiler would say of a depth, loop bodies counted once."""
  model = model_config(name, job, depth)
  chips = math.prod(mesh.values())
  done = {
    key: scale * flops[1] / chips
    for key, flops in estimates.analytic_flops(model, job).items()
  }
  collect = done['prefill'] + done['decode'] / job['reply_length']
  flops = {
    'pm_step': done['pm_step'],
    'prefill': done['prefill'],
    'collect': collect,
    'iteration': collect + done['learn'],
  }
  return {
    key: {
      'flops': count,
      'traffic': count / 1000,
      'memory': line[0] + depth * line[1],
      'compile_seconds': 2.0,
    }
    for key, count in flops.items()
  }


def row_of(
  name, topology='v5p:4x4x4', *, scale=1.0, depths=(1, 2), line=(1e9, 1e9)
):
  """A row of docs/scale.json: the analytic FLOPs times `scale`.

  A program of L layers takes line[0] + L line[1] bytes.
  """
  job = settings()['job']
  mesh = axes_of(name, topology, job)
  return {
    'rung': name,
    'topology': topology,
    'job': job,
    'mesh': mesh,
    'versions': VERSIONS,
    'measured': {
      str(depth): _programs(name, job, depth, mesh, scale, line)
      for depth in depths
    },
  }


def verdicts(rows, config):
  """Verdicts of the rows that are complete, as the script has them."""
  return [verdict(row, config) for row in rows if not missing(row['measured'])]
