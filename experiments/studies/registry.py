"""The themes of a study, a chapter of a paper each, and the jobs of some.

A theme that trains or evaluates is a module beside this one, of the name that
it has in `analysis.claims.registry.THEMES`, and, if it has settings of its own,
a section of the config. The module has one of

    jobs(config, root, seed) -> [Job]
    evaluations(config, root, seed, trained) -> [Job], of what all themes train

or both.
"""

import dataclasses
import importlib
import importlib.util

from experiments.studies.job import Job, with_needs
from rlhf_jax.analysis.claims.registry import THEMES as CHAPTERS

# HHH makes tables of the chapter `evaluations`, which has other makers too.
THEMES = (
  *(
    name
    for name in CHAPTERS
    if importlib.util.find_spec(f'experiments.studies.{name}')
  ),
  'hhh',
)


def all_jobs(config, root) -> list[Job]:
  """Every job of a study's themes, and what they need, each once.

  Args:
    config: of the study, a plain dict; `themes` names them (a name may be
      several, with commas between, as a flag has them), `seeds` repeats them;
      of several `draws` of what all seeds share each has its part of the seeds.
    root: of the study; absolute.

  Raises:
    ValueError: if there is no such theme, or two themes make different jobs of
      one name, or the seeds cannot be dealt out to the draws.
  """
  if config.get('draws', 1) == 1:
    return _jobs_of(config, root)
  return [job for draw in _draws(config, root) for job in draw]


def _draws(config, root):
  """Yields the jobs of each draw, in a folder of its own: 'draw0/lm/13K'."""
  draws, seeds = config['draws'], config['seeds']
  if 'comparisons' not in config or len(seeds) % draws:
    raise ValueError(
      f'draws={draws}: wanted a study that makes its own comparisons, and a '
      f'multiple of so many seeds, got {len(seeds)}'
    )
  each = len(seeds) // draws
  for draw in range(draws):
    own = {'seeds': seeds[draw * each : (draw + 1) * each]}
    for section in ('text', 'lm', 'comparisons'):
      part = config[section]
      own[section] = part | {'seed': part['seed'] + draw}
    limit = max(0, config['rl_seeds'] - draw * each)
    jobs = _jobs_of(config | own | {'rl_seeds': limit}, f'{root}/draw{draw}')
    made = {}
    for job in jobs:
      needs = tuple(made[need.name] for need in job.needs)
      name = f'draw{draw}/{job.name}'
      made[job.name] = dataclasses.replace(job, name=name, needs=needs)
    yield made.values()


def _jobs_of(config, root):
  """The jobs of one draw."""
  themes = [theme_of(name) for name in names_of(config['themes'])]
  jobs = []
  for seed in config['seeds']:
    args = (config, root, seed)
    trained = with_needs(
      job
      for theme in themes
      if hasattr(theme, 'jobs')
      for job in theme.jobs(*args)
    )
    jobs += trained
    for theme in themes:
      if hasattr(theme, 'evaluations'):
        jobs += theme.evaluations(*args, trained)
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
