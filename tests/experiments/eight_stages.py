"""The LM, PM and PPO stages on one of eight faked devices, and on a mesh.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python eight_stages.py \
    STUDY WORKDIR
"""

import sys
from pathlib import Path

import tiny_stages as tiny

from experiments import train_lm, train_pm, train_ppo

MESHES = {
  'one': {'data': 1, 'fsdp': 1, 'model': 1},
  'eight': {'data': 2, 'fsdp': 2, 'model': 2},
}


def main(study, workdir):
  """What follows starts from the language model that the mesh has trained."""
  short = {'steps': 3, 'checkpoint_every': 100}
  for name, mesh in MESHES.items():
    config = tiny.lm(study, mesh=mesh, **short)
    train_lm.run(config, Path(workdir) / f'lm-{name}')
  short = {'base': f'{workdir}/lm-eight', 'log_every': 1}
  short['final_eval_pairs'] = 16
  for name, mesh in MESHES.items():
    config = tiny.pm(study, mesh=mesh, **short)
    train_pm.run(config, Path(workdir) / f'pm-{name}')
  short = {'base': f'{workdir}/lm-eight', 'iterations': 1}
  for name, mesh in MESHES.items():
    config = tiny.ppo(study, mesh=mesh, **short)
    train_ppo.run(config, Path(workdir) / f'ppo-{name}')


if __name__ == '__main__':
  main(*sys.argv[1:])
