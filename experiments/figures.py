"""Redraws every figure of a study from DIR/tables, without JAX.

python -m experiments.figures --workdir=DIR [--figure=NAME]
    [--out=DIR/figures] [--suffix=svg]

With --figure it draws that one alone, as the caption on the page of the study
says. DIR may also be one run, which has its tables beside each other and what
it logged, the figure `training`.
"""

import argparse
import functools
import pathlib
import sys

from rlhf_jax.analysis import figures, redrawing, runs


def main(arguments=None) -> int:
  """Draws the figures, a line each; returns the exit code."""
  args = _parser().parse_args(arguments)
  out = args.out or args.workdir / 'figures'
  try:
    tables, drawings = _read(args.workdir)
    for name in [args.figure] if args.figure else drawings:
      if name not in redrawing.names():
        raise ValueError(
          f'no figure {name!r}: wanted one of {", ".join(redrawing.names())}'
        )
      draw = drawings.get(name)
      path = draw(tables, out, args.suffix) if draw else None
      if args.figure and path is None:
        raise ValueError(f'{args.workdir} holds nothing to draw {name} of')
      print(f'{name}: {path or "nothing to draw"}', flush=True)
  except (OSError, ValueError) as error:
    print(f'figures: {error}', file=sys.stderr)
    return 1
  return 0


def _read(workdir):
  """(tables, figure -> what draws it) of a study, or of a run by itself."""
  if (workdir / 'tables').is_dir() or not (workdir / 'done.json').exists():
    return runs.read_tables(workdir / 'tables'), figures.FIGURES
  drawings = dict(figures.FIGURES)
  if (workdir / 'metrics.jsonl').exists():
    logged = runs.read_metrics(workdir)
    draw = functools.partial(figures.draw_training, logged)
    drawings = {redrawing.TRAINING: lambda _, *place: draw(*place)} | drawings
  return runs.run_tables(workdir), drawings


def _parser():
  parser = argparse.ArgumentParser(
    prog='python -m experiments.figures', description=__doc__.split('\n')[0]
  )
  parser.add_argument(
    '--workdir',
    type=pathlib.Path,
    required=True,
    help='directory of a study, which holds tables/*.csv, or of a run',
  )
  parser.add_argument(
    '--figure', metavar='NAME', help='draw this one alone (default: all)'
  )
  parser.add_argument(
    '--out', type=pathlib.Path, help='where to save (default: DIR/figures)'
  )
  parser.add_argument('--suffix', choices=('svg', 'png'), default='svg')
  return parser


if __name__ == '__main__':
  sys.exit(main())
