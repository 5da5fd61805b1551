"""Two studies or more side by side, on one page.

python -m experiments.compare DIR DIR... [--out=runs/compare]

Each DIR is the folder of a finished study, or one under results/. The page has
a row a claim with the verdicts, the numbers that decide and their intervals,
and every figure of the studies beside the others. Of two studies that share
seeds it also says what each number changes by, seed by seed, and changes.csv
beside the page holds that. Of one preset on two sets of seeds it says which
verdicts turn, and whether more passes are lost than power lets expect. It needs
no JAX.
"""

import argparse
import sys

from rlhf_jax.analysis import compare


def main(arguments=None) -> int:
  """Writes the page; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog='python -m experiments.compare', description=__doc__.split('\n')[0]
  )
  parser.add_argument('folders', nargs='+', metavar='DIR', help='of a study')
  parser.add_argument(
    '--out', default='runs/compare', help='folder of the page'
  )
  args = parser.parse_args(arguments)
  try:
    print(compare.write(args.folders, args.out))
  except (OSError, ValueError) as error:
    print(f'compare: {error}', file=sys.stderr)
    return 1
  return 0


if __name__ == '__main__':
  sys.exit(main())
