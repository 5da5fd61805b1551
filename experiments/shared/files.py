"""Small files of a run: tidy CSV tables, JSON."""

import csv
import json
from pathlib import Path


def write_csv(path, rows):
  """Writes a list of dicts with equal keys; atomically."""
  path = Path(path)
  part = path.with_name(path.name + '.part')
  with part.open('w', newline='') as file:
    writer = csv.DictWriter(file, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
  part.replace(path)


def read_json(path):
  """Reads JSON, or says which stage has to run first.

  Raises:
    FileNotFoundError: with the path.
  """
  path = Path(path)
  if not path.exists():
    raise FileNotFoundError(f'{path} is missing: run the stage that writes it')
  return json.loads(path.read_text())
