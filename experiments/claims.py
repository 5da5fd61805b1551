"""Merges files of claims, prints them as a table, and judges tables again.

python -m experiments.claims merge FILE... [--out FILE]
python -m experiments.claims table FILE [--readme README.md]
python -m experiments.claims judge DIR...
"""

import argparse
import json
import pathlib
import sys

from rlhf_jax.analysis import claims_io, runs
from rlhf_jax.analysis.claims import judging


def main(arguments=None) -> int:
  """Runs one of the three commands; returns the exit code."""
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


if __name__ == '__main__':
  sys.exit(main())
