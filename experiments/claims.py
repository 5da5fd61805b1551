"""Merges files of claims, and prints them as a table.

python -m experiments.claims merge FILE... [--out FILE]
python -m experiments.claims table FILE [--readme README.md]
"""

import argparse
import json
import sys

from rlhf_jax.analysis import claims_io


def main(arguments=None) -> int:
  """Runs one of the two commands; returns the exit code."""
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


if __name__ == '__main__':
  sys.exit(main())
