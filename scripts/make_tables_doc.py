"""Writes docs/tables.md: every table and column, and what it means.

python -m scripts.make_tables_doc
"""

import pathlib

from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.claims.spec import RUN_COLUMNS

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / 'docs' / 'tables.md'
HEADER = """\
# Tidy tables: the contract between training and analysis

Stages write CSV files into their run directories; `analysis.runs` joins them
(adding the run columns) into `DIR/tables/*.csv`; every claim and every figure
is a function of these tables alone. Written by
`python -m scripts.make_tables_doc` from the themes in
`rlhf_jax/analysis/claims/`: edit those, not this page.

## Run columns

On every table, in front of its own.
"""
ROLES = """
## Roles

A run serves one role of its theme. Studies of an imported model have one size,
named by all of its weights (`135M`), and train decayed PMs alone.
"""


def lines_of(columns, optional=()):
  """A Markdown table of columns and their meanings."""
  lines = ['', '| column | meaning |', '|---|---|']
  for column, meaning in columns.items():
    older = '; studies of before lack it' if column in optional else ''
    meaning = meaning.replace('|', '\\|')  # a bare | would open a new cell
    lines.append(f'| `{column}` | {meaning}{older} |')
  return lines


def section(table, theme):
  """The section of one table."""
  file = f'{table.name}.csv' + ('.gz' if table.compressed else '')
  head = [f'\n## `{file}`', '', f'A row: {table.meaning}. Theme `{theme}`.']
  return [*head, *lines_of(table.columns, table.optional)]


def generate(registry=None):
  """The text of docs/tables.md; of another registry than that of the house."""
  registry = registry or load()
  lines = [HEADER.rstrip(), *lines_of(RUN_COLUMNS)]
  for name, theme in registry.themes.items():
    for table in theme.tables:
      lines += section(table, name)
  lines += [ROLES.rstrip(), '', '| role | theme | a run |', '|---|---|---|']
  for name, theme in registry.themes.items():
    for role, meaning in theme.roles.items():
      lines.append(f'| `{role}` | `{name}` | {meaning} |')
  return '\n'.join(lines) + '\n'


if __name__ == '__main__':
  OUT.write_text(generate())
  print(f'wrote {OUT.relative_to(ROOT)}')
