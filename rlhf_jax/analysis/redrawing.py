"""The command that draws a figure of a page again, which its caption shows.

`experiments.figures` reads the tables of a study, or those of a run and what it
logged; it trains nothing and needs no JAX.
"""

import pathlib
import shlex

from rlhf_jax.analysis.claims.registry import load

SCRIPT = 'experiments.figures'
TRAINING = 'training'  # what a run logged; of no theme, and of no table


def names() -> list[str]:
  """Figures that the script draws: those of the themes, and TRAINING."""
  return [*(draw.__name__ for draw in load().drawings), TRAINING]


def command(workdir, name='') -> str:
  """The command line that draws one figure again, to be run from the root.

  Args:
    workdir: of the study or run that the figure is of. One below the current
      folder is named as seen from there.
    name: of the figure; '': all that its tables have something for.

  Returns:
    A line for a shell; '' of a figure that the script does not draw.
  """
  if name and name not in names():
    return ''
  words = ['python', '-m', SCRIPT, f'--workdir={_seen_from_here(workdir)}']
  return shlex.join(words + [f'--figure={name}'] * bool(name))


def _seen_from_here(folder):
  """A folder as a path from the current one, or whole if it lies elsewhere."""
  folder, here = pathlib.Path(folder).resolve(), pathlib.Path.cwd().resolve()
  near = folder.is_relative_to(here)
  return (folder.relative_to(here) if near else folder).as_posix()
