"""claims.json in and out, merged over runs, and as a Markdown table."""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence

from rlhf_jax.analysis.intervals import NOT_RUN

# Of the papers: every file lists them. Our own, 66 and up, came later.
PAPERS = range(1, 66)
# What the columns of a table of claims say, wherever one is shown.
LEGEND = {
  'measured': 'mean over seeds of the number that decides: of several the one '
  'that fails, else the one closest to its bound',
  '95 % interval': 'where that mean lies, as far as the seeds tell '
  '(t-interval, or one that keeps to the range of the number); a single seed '
  'has none of a mean',
  'bound': 'where that interval must lie',
  'threshold': 'all that a pass needs, set before the runs that confirm it',
  'seeds': 'repetitions with preference models and policies of their own; '
  'language models and comparisons are shared; "3 of 8" are too few to decide',
  'verdict': 'pass: the interval of every number lies on the claimed side of '
  'its bound; fail: one lies wholly on the other side; inconclusive: the rest, '
  'and too few seeds; not run: nothing measured it',
}
MARK_BEGIN = '<!-- claims:begin -->'
MARK_END = '<!-- claims:end -->'


def write_claims(path, document: Mapping) -> None:
  """Writes claims.json; numbers that are not finite become null."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  text = json.dumps(_plain(document), indent=2, allow_nan=False)
  path.write_text(text + '\n')


def read_claims(path) -> dict:
  """Reads claims.json; one that names no edition was judged by the first.

  A file may lack claims that were numbered after it was written, and may hold
  some of a theme that is not of the house: its rows say all that is shown.

  Raises:
    ValueError: if it is not JSON, lacks one of the papers' claims or holds a
      claim twice.
  """
  path = pathlib.Path(path)
  try:
    document = json.loads(path.read_text())
  except json.JSONDecodeError as error:
    raise ValueError(f'{path}:{error.lineno}: not JSON: {error.msg}') from error
  rows = document.get('claims') if isinstance(document, dict) else None
  if not isinstance(rows, list):
    raise ValueError(f"{path}: wanted an object with a list 'claims'")
  found = [row.get('id', 0) for row in rows]
  if len(set(found)) < len(found) or not set(PAPERS) <= set(found):
    raise ValueError(
      f'{path}: wanted claims 1 to {len(PAPERS)} once each, got {sorted(found)}'
    )
  return {'edition': 1} | document


def merge(files: Sequence) -> dict:
  """One document of several: of each claim the latest row that was run.

  Later files win. A claim that several files ran says so in its note, with
  the verdicts that were passed over.
  """
  if not files:
    raise ValueError('nothing to merge: give at least one claims.json')
  documents = [(str(file), read_claims(file)) for file in files]
  rows = []
  numbers = {row['id'] for _, doc in documents for row in doc['claims']}
  for number in sorted(numbers):
    found = [
      (file, row)
      for file, document in documents
      for row in document['claims']
      if row['id'] == number
    ]
    run = [pair for pair in found if pair[1]['verdict'] != NOT_RUN]
    row = dict((run or found)[-1][1])
    others = [
      f'{other.get("preset") or file}: {other["verdict"]}'
      for file, other in run[:-1]
    ]
    if others:
      note = f'also run by {", ".join(others)}'
      row['note'] = '; '.join(filter(None, [row.get('note', ''), note]))
    rows.append(row)
  return {
    'preset': _joined(documents, 'preset'),
    'commit': _joined(documents, 'commit'),
    'device': _joined(documents, 'device'),
    'seconds': sum(doc.get('seconds') or 0 for _, doc in documents),
    'config_hash': _joined(documents, 'config_hash'),
    'edition': _edition(documents),
    'claims': rows,
    'checks': [
      {'preset': doc.get('preset'), **check}
      for _, doc in documents
      for check in doc.get('checks', [])
    ],
  }


def to_markdown_table(document: Mapping) -> str:
  """The claims that were run, as a table under its legend; which were not."""
  lines = [
    *legend_lines(),
    '',
    '| # | claim | measured | 95 % interval | bound | threshold | seeds '
    '| verdict |',
    '|---|---|---|---|---|---|---|---|',
  ]
  waiting = []
  for row in document['claims']:
    if row['verdict'] == NOT_RUN:
      waiting.append(str(row['id']))
      continue
    name, value = next(iter(row['measured'].items()), ('', None))
    cells = (
      str(row['id']),
      row['title'],
      f'{name} {_number(value)}',
      '-' if row['ci'] is None else ' to '.join(map(_number, row['ci'])),
      bound_text(deciding(row)) or '-',
      row['threshold'],
      seeds_text(row),
      row['verdict'],
    )
    # A bare | would open a new cell.
    cells = (cell.replace('|', '\\|') for cell in cells)
    lines.append('| ' + ' | '.join(cells) + ' |')
  if waiting:
    lines += ['', f'Not run: {", ".join(waiting)}.']
  return '\n'.join(lines) + '\n'


def deciding(row: Mapping) -> Mapping:
  """The contrast of a row that decides; its first one by the first edition."""
  contrasts = row.get('contrasts') or [{}]
  named = [c for c in contrasts if c.get('name') == row.get('decides')]
  return (named or contrasts)[0]


def bound_text(contrast: Mapping) -> str:
  """Where the interval of a contrast must lie: '> 0.8', 'inside -1 to 1'."""
  if 'side' not in contrast:
    return ''
  bound = contrast['bound']
  numbers = bound if isinstance(bound, Sequence) else [bound]
  return f'{contrast["side"]} {" to ".join(map(_number, numbers))}'


def seeds_text(row: Mapping) -> str:
  """The seeds of a row, and how many were wanted where they are too few."""
  wanted = row.get('seeds_wanted', 0)
  few = row['seeds'] < wanted
  return f'{row["seeds"]} of {wanted}' if few else str(row['seeds'])


def legend_lines() -> list[str]:
  """The legend as a Markdown list."""
  return [f'- **{column}**: {meaning}.' for column, meaning in LEGEND.items()]


def replace_block(text: str, table: str) -> str:
  """`text` with the lines between the two claim markers replaced.

  Raises:
    ValueError: unless each marker stands there once, in order.
  """
  begin, end = text.find(MARK_BEGIN), text.find(MARK_END)
  once = text.count(MARK_BEGIN) == 1 and text.count(MARK_END) == 1
  if not once or end < begin:
    raise ValueError(f'wanted {MARK_BEGIN} and {MARK_END} once, in this order')
  head = text[: begin + len(MARK_BEGIN)]
  return f'{head}\n{table.rstrip()}\n{text[end:]}'


def rewrite_readme(path, table: str) -> None:
  """Puts a table between the claim markers of a file.

  Raises:
    ValueError: naming the file, unless each marker stands there once.
  """
  path = pathlib.Path(path)
  try:
    path.write_text(replace_block(path.read_text(), table))
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def _number(value):
  return '-' if value is None else f'{value:.3g}'


def _joined(documents, key):
  values = [document.get(key) for _, document in documents]
  return '+'.join(dict.fromkeys(str(v) for v in values if v is not None))


def _edition(documents):
  """The edition of the rules that judged all files, or '1+2' of several."""
  found = sorted({document['edition'] for _, document in documents})
  return found[0] if len(found) == 1 else '+'.join(map(str, found))


def _plain(value):
  """Plain Python for JSON: numpy scalars unwrapped, nan and inf to None."""
  if isinstance(value, Mapping):
    return {str(key): _plain(item) for key, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [_plain(item) for item in value]
  if hasattr(value, 'item'):
    value = value.item()
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value
