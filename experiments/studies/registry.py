"""The themes of a study, a chapter of the paper each, and the jobs of some.

A theme is a module beside this one with `jobs(config, root, seed) -> [Job]`, an
entry of THEMES, and, if it has settings of its own, a block of the config.
"""

import importlib

from experiments.studies import imported
from experiments.studies.job import Job, with_needs

THEMES = (
  'scaling',
  'calibration',
  'tension',
  'ppo',
  'sqrt_kl',
  'robustness',
)


def all_jobs(config, root) -> list[Job]:
  """Every job of a study's themes, and what they need, each once.

  Args:
    config: of the study, a plain dict; `themes` names them (a name may be
      several, with commas between, as a flag has them), `seeds` repeats them.
    root: of the study; absolute.

  Raises:
    ValueError: if there is no such theme, or two themes make different jobs of
      one name.
  """
  if 'base' in config:  # of an imported model
    return imported.all_jobs(config, root)
  themes = [theme_of(name) for name in names_of(config['themes'])]
  jobs = [
    job
    for seed in config['seeds']
    for theme in themes
    for job in theme.jobs(config, root, seed)
  ]
  return with_needs(jobs)


def names_of(themes):
  """The names in a config's `themes`.

  Raises:
    ValueError: if there are none.
  """
  names = [name for name in ','.join(themes).split(',') if name]
  if not names:
    raise ValueError(f'no themes are chosen: some of {", ".join(THEMES)}')
  return names


def theme_of(name):
  """The module of a theme.

  Raises:
    ValueError: if there is no such theme.
  """
  if name not in THEMES:
    raise ValueError(f'no theme {name!r}: one of {", ".join(THEMES)}')
  return importlib.import_module(f'experiments.studies.{name}')
