"""Redraws every figure of a study from DIR/tables, without JAX.

python -m experiments.figures --workdir=DIR [--out=DIR/figures] [--suffix=svg]
"""

import argparse
import pathlib
import sys

from rlhf_jax.analysis import figures, runs


def main(arguments=None) -> int:
  """Draws the figures, a line each; returns the exit code."""
  args = _parser().parse_args(arguments)
  out = args.out or args.workdir / 'figures'
  try:
    tables = runs.read_tables(args.workdir / 'tables')
    for name, draw in figures.FIGURES.items():
      path = draw(tables, out, args.suffix)
      print(f'{name}: {path or "nothing to draw"}', flush=True)
  except (OSError, ValueError) as error:
    print(f'figures: {error}', file=sys.stderr)
    return 1
  return 0


def _parser():
  parser = argparse.ArgumentParser(
    prog='python -m experiments.figures', description=__doc__.split('\n')[0]
  )
  parser.add_argument(
    '--workdir',
    type=pathlib.Path,
    required=True,
    help='directory of a study, which holds tables/*.csv',
  )
  parser.add_argument(
    '--out', type=pathlib.Path, help='where to save (default: DIR/figures)'
  )
  parser.add_argument('--suffix', choices=('svg', 'png'), default='svg')
  return parser


if __name__ == '__main__':
  sys.exit(main())
