"""A planned row made of the analytic counts themselves: no compiler."""

import copy
import math

from configs.plan import get_config
from experiments import plan_estimates as estimates
from experiments.plan_verdict import mesh_of, model_config

VERSIONS = {'jax': '1.2', 'libtpu': '3.4'}


def settings():
  """The config as a plain dict."""
  return copy.deepcopy(get_config().to_dict())


def _programs(name, job, depth, chips, scale):
  """What a compiler would say of a depth, loop bodies counted once."""
  model = model_config(name, job, depth)
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
      'memory': 1e9 * (1 + depth),
      'compile_seconds': 2.0,
    }
    for key, count in flops.items()
  }


def row_of(name, topology='v5p:4x4x4', *, scale=1.0, depths=(1, 2)):
  """A row of docs/scale.json: the analytic FLOPs times `scale`.

  A program of L layers takes L + 1 GB.
  """
  job = settings()['job']
  mesh = mesh_of(name, topology, job)
  chips = math.prod(mesh.values())
  return {
    'rung': name,
    'topology': topology,
    'job': job,
    'mesh': mesh,
    'versions': VERSIONS,
    'measured': {
      str(depth): _programs(name, job, depth, chips, scale) for depth in depths
    },
  }
