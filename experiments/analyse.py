"""Stage 6: from run directories to tables, claims, figures and the report.

python -m experiments.analyse --workdir=DIR
"""

import argparse
import sys
from pathlib import Path

from experiments.shared import study_report
from rlhf_jax.analysis import runs


def main(arguments=None):
  """Analyses a finished study again; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--workdir', required=True, type=Path)
  args = parser.parse_args(arguments)
  try:
    done = runs.read_run(args.workdir)['done']
    document = study_report.write(
      args.workdir, done['seconds'], done.get('programs', ()), done['stages']
    )
  except KeyError as error:
    print(
      f'error: {args.workdir} is no finished study, its files lack {error}: '
      'wanted the --workdir of experiments.reproduce',
      file=sys.stderr,
    )
    return 2
  except (OSError, ValueError) as error:
    print(f'error: {str(error).splitlines()[0]}', file=sys.stderr)
    return 2
  study_report.print_claims(document)
  return 0


if __name__ == '__main__':
  sys.exit(main())
