"""Merges files of claims, prints them as a table, judges tables again.

python -m experiments.claims merge FILE... [--out FILE]
python -m experiments.claims table FILE [--readme docs/results.md]
python -m experiments.claims judge DIR...
python -m experiments.claims pool DIR DIR... [--claims=66]
"""

import argparse
import json
import pathlib
import sys

import pandas as pd

from rlhf_jax.analysis import claims_io, runs
from rlhf_jax.analysis.claims import judging
from rlhf_jax.analysis.claims.registry import load


def main(arguments=None) -> int:
  """Runs one of the four commands; returns the exit code."""
  args = _parser().parse_args(arguments)
  try:
    args.command(args)
  except (OSError, ValueError) as error:
    print(f'claims: {error}', file=sys.stderr)
    return 1
  return 0


def _parser():
  parser = argparse.ArgumentParser(
    prog='python -m experiments.claims', description=__doc__.split('\n')[0]
  )
  commands = parser.add_subparsers(required=True)
  merge = commands.add_parser('merge', help='join several claims.json')
  merge.add_argument('files', nargs='+', metavar='FILE')
  merge.add_argument('--out', help='file to write (default: print)')
  merge.set_defaults(command=_merge)
  table = commands.add_parser('table', help='a Markdown table of claims')
  table.add_argument('file', metavar='FILE')
  table.add_argument(
    '--readme', help='rewrite the block between the claim markers of this file'
  )
  table.set_defaults(command=_table)
  judge = commands.add_parser(
    'judge', help='judge the tables of studies again, by the rules of now'
  )
  judge.add_argument(
    'folders', nargs='+', metavar='DIR', help='holds claims.json and tables/'
  )
  judge.set_defaults(command=_judge)
  pool = commands.add_parser(
    'pool', help='claims over several studies, such as 66 over worlds'
  )
  pool.add_argument('folders', nargs='+', metavar='DIR', help='hold tables/')
  pool.add_argument('--claims', default='66', help='numbers, comma between')
  pool.set_defaults(command=_pool)
  return parser


def _merge(args):
  document = claims_io.merge(args.files)
  if args.out:
    claims_io.write_claims(args.out, document)
    print(f'wrote {args.out}')
  else:
    print(json.dumps(document, indent=2))


def _table(args):
  table = claims_io.to_markdown_table(claims_io.read_claims(args.file))
  if not args.readme:
    print(table, end='')
    return
  claims_io.rewrite_readme(args.readme, table)
  print(f'rewrote the claims of {args.readme}')


def judged_again(document, tables):
  """The document that the rules of now make of a study's tables.

  Run, evidence and gate are those that its claims.json names; of the first
  files, which do not name them, the evidence is that of their rows and the
  gate is closed, as it is in every preset now.
  """
  evidence = document['claims'][0]['evidence']
  context = {'evidence': evidence, 'rl_requires': True} | document
  return judging.claims_document(tables, context)


def _judge(args):
  for folder in map(pathlib.Path, args.folders):
    document = claims_io.read_claims(folder / 'claims.json')
    tables = runs.read_tables(folder / 'tables')
    found = judged_again(document, tables)
    claims_io.write_claims(folder / 'claims.json', found)
    found = claims_io.read_claims(folder / 'claims.json')
    table = claims_io.to_markdown_table(found)
    claims_io.rewrite_readme(folder / 'README.md', table)
    print(f'judged {folder} by edition {judging.EDITION}')


def pooled(folders):
  """The tables of several studies as one, with the column `study`.

  Raises:
    ValueError: if two of them have one name.
  """
  names = [pathlib.Path(folder).resolve().name for folder in folders]
  if len(set(names)) < len(names):
    raise ValueError(f'wanted studies of different names, got {names}')
  parts = {}
  for name, folder in zip(names, folders, strict=True):
    for table, frame in runs.read_tables(folder / 'tables').items():
      parts.setdefault(table, []).append(frame.assign(study=name))
  join = lambda frames: pd.concat(frames, ignore_index=True)
  return {table: join(frames) for table, frames in parts.items()}


def _pool(args):
  tables = pooled(list(map(pathlib.Path, args.folders)))
  numbers = [int(number) for number in args.claims.split(',')]
  context = {'rl_requires': True}
  rows = [
    judging.judge_claim(load().claim(number), tables, context)
    for number in numbers
  ]
  print(claims_io.to_markdown_table({'claims': rows}), end='')
  for row in rows:
    print(f'\n{row["id"]}: {row["note"] or "no note"}')
    for name, value in row['measured'].items():
      print(f'  {name} {value:.3g}')


if __name__ == '__main__':
  sys.exit(main())
