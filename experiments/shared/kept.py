"""Long work in parts, each kept in a file as soon as it is done."""

import json
import math
import os
from pathlib import Path

import numpy as np

TEXTS = 512  # that are scored before they are kept


class Journal:
  """Rows of JSON in a file that is only ever added to.

  Attributes:
    rows: all of them, in their order.
  """

  def __init__(self, path):
    """Reads what is there; a last line that broke off is cut off.

    Raises:
      ValueError: if a line that was written whole is no JSON.
    """
    self._path, self.rows = Path(path), []
    data = self._path.read_bytes() if self._path.exists() else b''
    *whole, torn = data.split(b'\n')
    for number, line in enumerate(whole, 1):
      try:
        self.rows.append(json.loads(line))
      except ValueError:
        raise ValueError(
          f'{path}:{number}: wanted JSON, got {line[:40]!r}: delete the file, '
          'what it holds is made again'
        ) from None
    if torn:
      os.truncate(self._path, len(data) - len(torn))

  def add(self, rows):
    """Writes rows, at once."""
    text = ''.join(f'{json.dumps(row)}\n' for row in rows)
    with self._path.open('a', encoding='utf-8') as file:
      file.write(text)
    self.rows += rows


def in_parts(work, items, path, size, label):
  """The results of all items, made in parts; what is in the file is not remade.

  Args:
    work: (some items, number of their first, label of the progress) -> a list
      of as many results that JSON can hold.
    items: list.
    path: of the file, a line a part. It belongs to these items and this size
      alone.
    size: items of a part.
    label: of the progress.
  """
  journal, parts = Journal(path), -(-len(items) // size)
  for k in range(len(journal.rows), parts):
    name = f'{label} {k + 1}/{parts}' if parts > 1 else label
    found = work(items[k * size : (k + 1) * size], k * size, name)
    journal.add([json.loads(json.dumps(found))])
  return [result for part in journal.rows[:parts] for result in part]


def write_whole(path, text):
  """Writes a text file, whole or not at all."""
  path = Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(path.name + '.part')
  part.write_text(text, encoding='utf-8')
  part.replace(path)


def claim(path, key, remedy='give another --workdir', *, kept='', later=()):
  """Says in a file what is kept beside it; a second call compares.

  Args:
    path: of the file.
    key: {name: value}, as JSON, of all that the kept work depends on.
    remedy: what to do where it differs.
    kept: what is kept; while it is not there, nothing is held to the file.
    later: names that a file of before does not have, and is believed without.

  Raises:
    ValueError: if what is kept depends on something else.
  """
  path = Path(path)
  if not path.exists() or (kept and not Path(kept).exists()):
    write_whole(path, json.dumps(key, indent=1))
    return
  found = json.loads(path.read_text(encoding='utf-8'))
  for name, value in json.loads(json.dumps(key)).items():
    if name in later and name not in found:
      continue
    if found.get(name) != value:
      raise ValueError(
        f'{path.parent} holds results of {name} {found.get(name)!r}, wanted '
        f'{value!r}: {remedy}'
      )


def kept_scores(file, key, score_many):
  """The same `score_many`, its scores kept in a journal, and read there.

  They are made TEXTS texts at a time: a killed run goes on with the next ones.

  Args:
    file: of the scores, a line a text.
    key: {name: value} of all that a score depends on besides the text.
    score_many: [(prompt, reply)] -> score_N.

  Raises:
    ValueError: if the file is of another key, or a score is not finite.
  """
  file = Path(file)
  claim(file.with_suffix('.json'), key, kept=file)
  journal = Journal(file)
  table = {(row['prompt'], row['reply']): row['score'] for row in journal.rows}

  def scores(texts):
    lacking = [text for text in dict.fromkeys(texts) if text not in table]
    for i in range(0, len(lacking), TEXTS):
      part = lacking[i : i + TEXTS]
      found = [float(score) for score in score_many(part)]
      if not all(map(math.isfinite, found)):
        raise ValueError(
          f'{file}: a score is not finite: look for NaN in the model that gave '
          'it'
        )
      scored = list(zip(part, found, strict=True))
      journal.add(
        [{'prompt': x, 'reply': y, 'score': score} for (x, y), score in scored]
      )
      table.update(scored)
    return np.array([table[text] for text in texts])

  return scores
