"""Writes docs/claims.md: every claim, its source and what a pass needs.

python -m scripts.make_claims_doc
"""

import pathlib

from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.claims_io import legend_lines

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / 'docs' / 'claims.md'
HEADER = """\
# Claims

{total} claims: what the papers say that a program can check. A threshold was
set before the runs that confirm it; every bound is compared with a 95 %
interval over seeds. {measured} have an evaluator, the rest are "not run".
Written by `python -m scripts.make_claims_doc` from the themes in
`rlhf_jax/analysis/claims/`: edit those, not this page.

In a table of claims, as in the README and in a report:

"""


def names(values):
  """Names as code, joined by commas."""
  return ', '.join(f'`{value}`' for value in values)


def entry(spec, theme):
  """The section of one claim."""
  lines = [
    f'\n## {spec.id}. {spec.title}\n',
    f'{spec.statement}\n',
    f'- Source: {spec.source}',
    f'- Threshold: {spec.threshold}',
  ]
  if spec.evaluator is None:
    lines.append(f'- Theme: `{theme}`; no evaluator yet ({spec.evidence})')
  else:
    function = f'{theme}.{spec.evaluator.__name__}'
    read = f'reads {names(spec.tables)}'
    lines.append(f'- Evaluator: `{function}` ({spec.evidence}), {read}')
  if spec.figure:
    lines.append(f'- Figure: `{spec.figure}`')
  return '\n'.join(lines)


def generate(registry=None):
  """The text of docs/claims.md; of another registry than that of the house."""
  registry = registry or load()
  measured = sum(spec.evaluator is not None for spec in registry.claims)
  header = HEADER.format(total=len(registry.claims), measured=measured)
  entries = [entry(s, registry.theme_of[s.id]) for s in registry.claims]
  return '\n'.join([header.rstrip(), '', *legend_lines(), *entries]) + '\n'


if __name__ == '__main__':
  OUT.write_text(generate())
  print(f'wrote {OUT.relative_to(ROOT)}')
