"""The page of a committed study, from its tables and claims, without JAX.

python -m experiments.page results/headline

writes results/headline/report/index.html, which a browser opens from the file:
what a study shows when it has run, without running it. Figures are those of the
folder; `python -m experiments.figures --workdir=DIR` draws them again.
"""

import argparse
import pathlib
import sys

from experiments.shared import published


def main(arguments=None) -> int:
  """Writes the pages and prints where they are; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog='python -m experiments.page', description=__doc__.split('\n')[0]
  )
  parser.add_argument(
    'folders',
    nargs='+',
    metavar='DIR',
    type=pathlib.Path,
    help='holds claims.json, tables/ and figures/',
  )
  args = parser.parse_args(arguments)
  try:
    for folder in args.folders:
      print(published.write_page(folder), flush=True)
  except (OSError, ValueError) as error:
    print(f'page: {error}', file=sys.stderr)
    return 1
  return 0


if __name__ == '__main__':
  sys.exit(main())
