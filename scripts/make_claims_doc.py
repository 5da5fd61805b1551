"""Writes docs/claims.md: every claim, its source and what a pass needs.

python -m scripts.make_claims_doc
"""

import pathlib

from rlhf_jax.analysis.claims_registry import CLAIMS

ROOT = pathlib.Path(__file__).resolve().parents[1]
OUT = ROOT / 'docs' / 'claims.md'
HEADER = """\
# Claims

What the papers say that a program can check, numbered 1 to {total}. A threshold
was set before the runs that confirm it; every bound is compared with a 95 %
interval over seeds. {measured} have an evaluator, the rest are "not run".
Written by `python -m scripts.make_claims_doc` from
`rlhf_jax.analysis.claims_registry`: edit that, not this page.
"""


def entry(spec):
  """The section of one claim."""
  evaluator = f'`{spec.evaluator}`' if spec.evaluator else 'none yet'
  return '\n'.join(
    (
      f'\n## {spec.id}. {spec.title}\n',
      f'{spec.statement}\n',
      f'- Source: {spec.source}',
      f'- Threshold: {spec.threshold}',
      f'- Evaluator: {evaluator} ({spec.evidence})',
    )
  )


def generate():
  """The text of docs/claims.md."""
  measured = sum(spec.evaluator is not None for spec in CLAIMS)
  header = HEADER.format(total=len(CLAIMS), measured=measured)
  return '\n'.join([header.rstrip(), *map(entry, CLAIMS)]) + '\n'


if __name__ == '__main__':
  OUT.write_text(generate())
  print(f'wrote {OUT.relative_to(ROOT)}')
