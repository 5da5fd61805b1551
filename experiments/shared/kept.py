"""Long work in parts, each kept in a file as soon as it is done."""

import json
from pathlib import Path


def in_parts(work, items, path, size, label):
  """The results of all items, made in parts; what is in the file is not remade.

  Args:
    work: (some items, number of their first, label of the progress) -> a list
      of as many results that JSON can hold.
    items: list.
    path: of the file, a line a part; a line that broke off is made again. It
      belongs to these items and this size alone.
    size: items of a part.
    label: of the progress.
  """
  path, parts = Path(path), -(-len(items) // size)
  found = _whole_lines(path)[:parts]
  path.write_text(''.join(f'{json.dumps(part)}\n' for part in found))
  for k in range(len(found), parts):
    name = f'{label} {k + 1}/{parts}' if parts > 1 else label
    line = json.dumps(work(items[k * size : (k + 1) * size], k * size, name))
    with path.open('a') as file:
      file.write(f'{line}\n')
    found.append(json.loads(line))
  return [result for part in found for result in part]


def _whole_lines(path):
  """Values of the lines that were written whole."""
  if not path.exists():
    return []
  *whole, _ = path.read_text().split('\n')  # the last is empty or broken off
  return [json.loads(line) for line in whole]
