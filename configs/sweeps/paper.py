r"""Sweeps of the questions of Bai et al. 2022: one command each.

    make reproduce PRESET=smoke     # the models that they start from
    python -m experiments.sweep --config=configs/sweeps/paper.py:NAME.smoke \
        --workdir=DIR [--dry_run]

What: NAME is one of

    pm_scaling   accuracy of preference models by size and number of pairs
                 (section 3.3, figure 7)
    sqrt_kl      reward against sqrt(KL) by sizes of policy and PM (4.3)
    lambda_kl    the weight of the KL penalty (4.2)
    mixture      shares of helpful and harmless pairs (5.1, figure 25)
    loss_weight  weights of a harmless pair in the loss (5.1)
    best_of_n    best-of-n of pi_0 of every size by PMs of every size (4.4)
    ood_layers   red-team prompts as outliers, every layer, by size (5.4)

and what follows the dot a preset of the study, whose language models,
comparisons and preference models are read in runs/reproduce or
runs/reproduce-PRESET; without one it is headline for sqrt_kl and lambda_kl,
full for ood_layers, micro for the others. Sizes and seeds are those of the
study.

`stage` runs, `run` is its config, `space` says at which points:
--config.run.KEY=VALUE sets a key for all of them, --space=... takes other
points. Time and result: those of the study's themes, which make the same runs
among others (docs/reproduction.md); these here are to be changed.
"""

import importlib.util
import sys
from pathlib import Path

import ml_collections

sys.path.append(str(Path(__file__).resolve().parents[2]))

from configs import blocks, stages


def words(values):
  """'a,b,c' of the values of an axis."""
  return ','.join(str(value) for value in values)


def stage_config(name, preset):
  """Config of a preset of a stage, from its file in the folder above."""
  file = Path(__file__).resolve().parents[1] / f'{name}.py'
  spec = importlib.util.spec_from_file_location(f'configs_{name}', file)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(preset)


def folder_of(preset):
  """Where a study has its runs."""
  return 'runs/reproduce' + ('' if preset == 'micro' else f'-{preset}')


def sweep(stage, run, preset, *space):
  """A sweep's config."""
  config = ml_collections.ConfigDict()
  config.stage, config.preset, config.space = stage, preset, space
  config.run = run
  return config


def pm_scaling(study, preset):
  """Sizes, and pairs in factors of two down from the study's."""
  run = stage_config('pm', preset)
  pairs = [study.pm.pairs // 2**i for i in (4, 3, 2, 1, 0)]
  sizes, seeds = words(study.scaling.sizes), words(study.seeds)
  run.role, run.curve_points = 'pm_scaling', 1
  axes = f'grid size={sizes} pairs={words(pairs)} seed={seeds}'
  return sweep('train_pm', run, preset, axes)


def sqrt_kl(study, preset):
  """Policies of all sizes under train PMs of all sizes, one test PM."""
  run = stage_config('ppo', preset)
  seed = run.get_ref('seed').to_str()
  top = f'{folder_of(preset)}/pm/rl-{study.linear.pm_size}-mix-b-s'
  run.role, run.test_pm_dir = 'by_sizes', top + seed
  sizes = words(study.linear.sizes), words(study.scaling.sizes)
  axes = f'grid size={sizes[0]} pm_size={sizes[1]} seed={words(study.seeds)}'
  return sweep('train_ppo', run, preset, axes)


def lambda_kl(study, preset):
  """Penalties from none to one that holds a policy where it is."""
  run = stage_config('ppo', preset)
  run.role = 'lambda_kl'
  weights = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
  axes = f'grid kl_coef={words(weights)} seed={words(study.seeds)}'
  return sweep('train_ppo', run, preset, axes)


def mixture(study, preset):
  """Shares of helpful pairs in steps of 10 %, the number of pairs constant."""
  shares = [f'{share}/{100 - share}' for share in range(0, 101, 10)]
  return mixed(study, preset, 'mixture', shares)


def loss_weight(study, preset):
  """Two thirds helpful; a harmless pair weighs 1 to 10."""
  shares = [f'67/33*{weight}' for weight in (1, 2, 3, 4, 10)]
  return mixed(study, preset, 'loss_weight', shares)


def mixed(study, preset, role, shares):
  """PMs of every size on shares of the comparisons."""
  run = stage_config('pm', preset)
  run.role, run.pairs = role, study.pm.pairs // 4
  sizes, seeds = words(study.scaling.sizes), words(study.seeds)
  axes = f'grid size={sizes} train_subset={words(shares)} seed={seeds}'
  return sweep('train_pm', run, preset, axes)


def best_of_n(study, preset):
  """Many replies of pi_0, which PMs of all sizes choose from."""
  root, run = folder_of(preset), ml_collections.ConfigDict(stages.replies())
  run.role, run.prompts, run.replies = 'best_of_n', 24, 512
  run.seed = study.seeds[0]
  config = sweep('score_replies', run, preset)
  config.size = study.scaling.sizes[0]
  config.run.policy_dir = f'{root}/lm/' + config.get_ref('size')
  config.run.pm_dirs = tuple(
    f'{root}/pm/scaling-{size}-mix-a-s{run.seed}'
    for size in study.scaling.sizes
  )
  config.space = (f'grid size={words(study.scaling.sizes)}',)
  return config


def ood_layers(study, preset):
  """Models of all sizes; each run has a row a layer."""
  run = stage_config('outliers', preset)
  axes = f'grid size={words(study.ood.sizes)} seed={words(study.seeds)}'
  return sweep('detect_outliers', run, preset, axes)


SWEEPS = {
  f.__name__: f
  for f in (
    *(pm_scaling, sqrt_kl, lambda_kl, mixture, loss_weight, best_of_n),
    ood_layers,
  )
}

# They start from the test PM as well, which studies without policies lack.
WITH_POLICIES = ('sqrt_kl', 'lambda_kl')


def get_config(preset='lambda_kl'):
  """Config of NAME or NAME.PRESET."""
  name, _, study = preset.partition('.')
  if name not in SWEEPS:
    raise ValueError(
      f'unknown sweep {name!r}: one of {", ".join(sorted(SWEEPS))}, perhaps '
      'with .PRESET'
    )
  if name == 'ood_layers':  # a chapter that studies of all chapters have
    study = {'smoke': 'full_smoke'}.get(study, study) or 'full'
  study = study or ('headline' if name in WITH_POLICIES else 'micro')
  return SWEEPS[name](blocks.study(study), study)
