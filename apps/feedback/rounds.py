"""What a round of people changed, as a table.

    python -m apps.feedback.rounds --study=DIR

DIR is of `experiments.reproduce --config=configs/reproduce.py:online_human`.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from rlhf_jax.analysis import before_after
from rlhf_jax.train import about

POLICIES = 'online/policies-s*'


def rows_of(study) -> list[dict]:
  """Rows of `before_after` of a finished study of one seed.

  Raises:
    ValueError: if it is not finished, or has several seeds.
  """
  found = sorted(Path(study).glob(f'{POLICIES}/done.json'))
  if len(found) != 1:
    raise ValueError(
      f'wanted a finished study of one seed, got {len(found)} of '
      f'{study}/{POLICIES}: give the command of the study again'
    )
  folder = found[0].parent
  config = about.read(folder).config
  writers = dict(
    zip(config['writer_names'], config['writer_dirs'], strict=True)
  )
  curve = lambda name: pd.read_csv(Path(writers[name]) / 'rl_curve.csv')
  prompts = about.read(writers['final']).config['eval_prompts']
  return [
    *before_after.accuracies(pd.read_csv(folder / 'tranche_pairs.csv.gz')),
    *before_after.gains(curve('base_only'), curve('final'), prompts),
    *before_after.preferred(pd.read_csv(folder / 'matches.csv')),
  ]


def main(arguments=None) -> None:
  """Reads the flags, and prints the table."""
  parser = argparse.ArgumentParser(
    prog='python -m apps.feedback.rounds',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--study', required=True, help='folder of the study')
  flags = parser.parse_args(arguments)
  try:
    table = pd.DataFrame(rows_of(flags.study))
  except (OSError, ValueError, about.RunError) as error:
    sys.exit(f'error: {error}')
  print(table.round(3).to_string(index=False))


if __name__ == '__main__':
  main()
