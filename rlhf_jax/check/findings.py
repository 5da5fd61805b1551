"""Findings of a check, and their two forms: a table and JSON."""

import math
from typing import NamedTuple


class CheckFinding(NamedTuple):
  """Result of one check.

  Attributes:
    item: number in docs/checklist.md; 0: it is not in that list.
    name: of the check, one of `runner.CHECKS`.
    ok: whether it holds; None: it was not run, and the message says why.
    value: the number that decided; None where there is none.
    message: one line, which says of a failure what to do.
  """

  item: int
  name: str
  ok: bool | None
  value: float | None
  message: str


class Outcome(NamedTuple):
  """A CheckFinding without its name."""

  ok: bool
  value: float
  message: str


WORDS = {True: 'ok', False: 'FAILED', None: 'not run'}


def failed(findings) -> list[str]:
  """Names of the checks that do not hold."""
  return [finding.name for finding in findings if finding.ok is False]


def table(findings) -> list[str]:
  """Lines for a terminal: verdict, item, name, value and message."""
  lines = []
  for finding in findings:
    value = '' if finding.value is None else f'{finding.value:.3g}'
    item = str(finding.item or '')
    lines.append(
      f'{WORDS[finding.ok]:8}{item:>3} {finding.name:26}{value:>10}  '
      f'{finding.message}'
    )
  count = {word: 0 for word in WORDS.values()}
  for finding in findings:
    count[WORDS[finding.ok]] += 1
  return [*lines, ', '.join(f'{n} {word}' for word, n in count.items())]


def as_json(findings) -> list[dict]:
  """Plain rows for `json.dumps`; a value that is not finite is null."""
  rows = []
  for finding in findings:
    row = finding._asdict()
    if row['value'] is not None and not math.isfinite(row['value']):
      row['value'] = None
    rows.append(row)
  return rows
