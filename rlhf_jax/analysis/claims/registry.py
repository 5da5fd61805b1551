"""The list of themes, and what they add up to.

A new theme is a module of this package with a `THEME`, and its name here:
its tables are then collected, its claims judged, its figures drawn, and all of
them stand in the report and in docs/claims.md and docs/tables.md (`make
checklist`). Its drawings may stand in the module, or in `analysis/drawings/`.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping

from rlhf_jax.analysis.claims.spec import ClaimSpec, Table, Theme

PACKAGE = 'rlhf_jax.analysis.claims'

# In the papers' order, which is that of figures and tables.
THEMES = (
  'common',
  'scaling',
  'joint',
  'calibration',
  'real_pairs',
  'end_of_context',
  'tension',
  'real_mixtures',
  'skills',
  'ppo',
  'sqrt_kl',
  'bows',
  'robustness',
  'scans',
  'online',
  'best_of_n',
  'baselines',
  'real_baselines',
  'ensembles',
  'samples',
  'ood',
  'evaluations',
  'distillation',
  'real_distillation',
  'imitation',
  'real_imitation',
  'pretraining',
  'real_pretraining',
  'kwise',
  'demonstrations',
  'real_sft',
  'instruct',
  'real_ptx',
  'activations',
)


@dataclasses.dataclass(frozen=True)
class Registry:
  """All that the themes say.

  Attributes:
    themes: name -> theme.
    claims: of all themes, in order of number.
    theme_of: claim number -> name of its theme.
    tables: name -> table.
    drawings: of all themes, in their order.
    checks: of all themes, in their order.
  """

  themes: Mapping[str, Theme]
  claims: tuple[ClaimSpec, ...]
  theme_of: Mapping[int, str]
  tables: Mapping[str, Table]
  drawings: tuple[Callable, ...]
  checks: tuple[Callable, ...]

  def claim(self, number: int) -> ClaimSpec:
    """The claim with this number."""
    for spec in self.claims:
      if spec.id == number:
        return spec
    raise KeyError(f'no claim {number}: there are {len(self.claims)}')


def load(*more: str) -> Registry:
  """The registry of `THEMES`, and of these themes besides.

  Args:
    more: names of further modules of this package, which may lie in a folder
      that was added to its `__path__`. A name of `THEMES` adds nothing.

  Raises:
    ValueError: if there is no such theme, if two themes give a claim, a table
      or a figure the same name, or if a claim names a table or a figure that
      no theme has.
  """
  themes = {name: _theme(name) for name in dict.fromkeys((*THEMES, *more))}
  claims = _once(themes, 'claims', lambda spec: spec.id)
  tables = _once(themes, 'tables', lambda table: table.name)
  drawings = _once(themes, 'drawings', lambda draw: draw.__name__)
  checks = _once(themes, 'checks', lambda check: check.__name__)
  for number, (theme, spec) in claims.items():
    unknown = {*spec.tables} - tables.keys()
    unknown |= {spec.figure} - drawings.keys() - {None}
    if unknown:
      raise ValueError(
        f'claim {number} of theme {theme!r} names {", ".join(sorted(unknown))}'
        ', which no theme has among its tables or drawings'
      )
  return Registry(
    themes=themes,
    claims=tuple(claims[number][1] for number in sorted(claims)),
    theme_of={number: theme for number, (theme, _) in claims.items()},
    tables={name: table for name, (_, table) in tables.items()},
    drawings=tuple(draw for _, draw in drawings.values()),
    checks=tuple(check for _, check in checks.values()),
  )


def _theme(name):
  module = f'{PACKAGE}.{name}'
  try:
    theme = getattr(importlib.import_module(module), 'THEME', None)
  except ModuleNotFoundError as error:
    if error.name != module:  # the theme is there, what it imports is not
      raise
    theme = None
  if not isinstance(theme, Theme):
    raise ValueError(
      f'no theme {name!r}: wanted a module {module} with a THEME; there are '
      f'{", ".join(THEMES)}'
    )
  return theme


def _once(themes, kind, key):
  """Key -> (theme, thing) over all themes; a key belongs to one thing."""
  found = {}
  for name, theme in themes.items():
    for thing in getattr(theme, kind):
      if key(thing) in found:
        first = found[key(thing)][0]
        raise ValueError(
          f'{kind}: {key(thing)!r} stands in theme {first!r} and in {name!r}'
        )
      found[key(thing)] = name, thing
  return found
