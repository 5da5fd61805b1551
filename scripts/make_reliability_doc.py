"""Draws the tables of docs/reliability.md from docs/reliability.json.

    python -m scripts.make_reliability_doc

Nothing is attacked here; `make attack` writes the file.
"""

import json
import pathlib

from experiments.shared.markdown import between_markers, markdown

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'reliability.md'
FIGURES = ROOT / 'docs' / 'reliability.json'
OUTCOMES = ('named', 'same', 'counted', 'unclear', 'silent')
NOTHING = 'Not attacked yet: `make attack`.'


def table(found):
  """The trials of each kind, their outcomes, and all of them together."""
  rows = found['rows']
  if not rows:
    return NOTHING
  total = {'part': 'all', 'kind': ''}
  for name in ('trials', *OUTCOMES):
    total[name] = sum(row[name] for row in rows)
  cells = lambda row: [
    row['part'],
    row['kind'],
    *(str(row[name]) for name in ('trials', *OUTCOMES)),
  ]
  header = ['attack', 'on', 'trials', *OUTCOMES]
  drawn = markdown(header, [cells(row) for row in [*rows, total]])
  return f'{drawn}\n\nCommit {found["commit"]}, {found["device"]}.'


def page(text, found):
  """The page with its table."""
  return between_markers(text, 'attack', table(found))


def main():
  """Writes the page."""
  found = json.loads(FIGURES.read_text()) if FIGURES.exists() else {'rows': []}
  PAGE.write_text(page(PAGE.read_text(), found))


if __name__ == '__main__':
  main()
