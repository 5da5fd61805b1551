"""Writes docs/variance.md: what part of the variance all seeds share.

python -m scripts.make_variance_doc [--workdir=DIR]

It reads DIR/tables of a study of the preset shared_variance, which
`python -m experiments.reproduce --config=configs/reproduce.py:shared_variance`
makes; without one the page says so.
"""

import argparse
import pathlib
import sys

from rlhf_jax.analysis import nested, runs

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / 'docs' / 'variance.md'
STUDY = ROOT / 'results' / 'shared_variance'
HEADER = """\
# What all seeds share

Seeds of a study repeat preference models and policies; texts, language models,
comparisons and held-out prompts are drawn once. How much of the variance over
seeds does that leave out? The preset `shared_variance` draws them anew, S
times, with R seeds of each, at the smallest size, and `analysis/nested.py`
takes the variance apart (one-way random effects; intervals of the share by F).
Written by `python -m scripts.make_variance_doc`.

- **between**: variance of what seeds share; **within**: of the seeds beside it.
- **share**: between / (between + within), with its 95 % interval.
- **runs**: those it could be measured of; slope, bow and exponent want eight
  checkpoints up to sqrt(KL) = 3.5 whose KL spans a factor of ten.
- **widening**: standard error of the mean of a study of {seeds} seeds, were the
  shared part drawn anew as well, over the one that its interval is made of.
"""
COLUMNS = (
  '\n| quantity | runs | mean | between | within | share | 95 % interval '
  '| widening |\n|---|---|---|---|---|---|---|---|\n'
)
WAITING = """
Not run yet: `make reproduce PRESET=shared_variance` (about {minutes} minutes on
two quiet cores, goes on where it stopped), then `python -m
experiments.publish` puts its tables below `results/shared_variance`.
"""
MINUTES = 40


def rows_of(table):
  """The rows of the page's table."""
  for row in table.to_dict('records'):
    interval = f'{row["low"]:.2f} to {row["high"]:.2f}'
    cells = [row['quantity'], str(row['runs']), f'{row["mean"]:.3g}']
    cells += [f'{row["between"]:.2g}']
    cells += [f'{row["within"]:.2g}', f'{row["share"]:.2f}', interval]
    yield '| ' + ' | '.join([*cells, f'{row["widening"]:.2f}']) + ' |'


def generate(study=STUDY):
  """The text of docs/variance.md."""
  text = HEADER.format(seeds=nested.SEEDS)
  if not (pathlib.Path(study) / 'tables').is_dir():
    return text + WAITING.format(minutes=MINUTES)
  table = nested.table(runs.read_tables(pathlib.Path(study) / 'tables'))
  draws, seeds = table.iloc[0][['draws', 'seeds']]
  text += f'\nS = {draws} draws, R = {seeds} seeds of each.\n'
  return text + COLUMNS + '\n'.join(rows_of(table)) + '\n'


def main(arguments=None):
  """Writes the page."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--workdir', default=STUDY, help='of the study')
  args = parser.parse_args(arguments)
  OUT.write_text(generate(args.workdir))
  print(f'wrote {OUT.relative_to(ROOT)}')
  return 0


if __name__ == '__main__':
  sys.exit(main())
