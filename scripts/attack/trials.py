"""Trials of an attack: kept one a line, so that an attack can go on.

    {"part": "flips", "kind": "params", "number": 7, "outcome": "named",
     "detail": ...}

Outcomes:

    named    one line says which file is wrong
    same     the result is what it is without the attack
    counted  what could not be read is in the counts
    unclear  an error that names no file, or of several lines
    silent   another result, and no word of it
"""

import hashlib
import json
from pathlib import Path

import jax
import numpy as np

from experiments.shared.command import EXPECTED, one_line

OUTCOMES = ('named', 'same', 'counted', 'unclear', 'silent')


class Trials:
  """The trials of a work folder.

  Args:
    folder: made if absent; trials.jsonl in it is read and added to.
  """

  def __init__(self, folder):
    self._file = Path(folder) / 'trials.jsonl'
    self._file.parent.mkdir(parents=True, exist_ok=True)
    lines = self._file.read_text().splitlines() if self._file.exists() else []
    self.rows = [json.loads(line) for line in lines if line.endswith('}')]

  def has(self, part, kind, number):
    """Whether a trial was made before."""
    wanted = (part, kind, number)
    return any((r['part'], r['kind'], r['number']) == wanted for r in self.rows)

  def add(self, part, kind, number, outcome, detail=''):
    """Keeps a trial."""
    row = {'part': part, 'kind': kind, 'number': number}
    row |= {'outcome': outcome, 'detail': detail}
    self.rows.append(row)
    with self._file.open('a') as file:
      file.write(json.dumps(row) + '\n')

  def table(self):
    """[{'part', 'kind', 'trials', outcome: count, ...}] in order of trials."""
    keys = dict.fromkeys((row['part'], row['kind']) for row in self.rows)
    table = []
    for part, kind in keys:
      own = [r for r in self.rows if (r['part'], r['kind']) == (part, kind)]
      outcomes = [row['outcome'] for row in own]
      counts = {name: outcomes.count(name) for name in OUTCOMES}
      table.append({'part': part, 'kind': kind, 'trials': len(own), **counts})
    return table


def outcome_of(call, expected, names):
  """(outcome, detail) of a reading.

  Args:
    call: gives a value of `value_of`'s kind.
    expected: what it gave before the attack.
    names: texts of which a message has to have one.
  """
  try:
    found = call()
  except EXPECTED as error:
    line = one_line(error)
    named = any(name in line for name in names) and '\n' not in str(error)
    return ('named' if named else 'unclear'), line
  except Exception as error:  # noqa: BLE001 (what an attack looks for)
    return 'unclear', f'{type(error).__name__}: {error}'[:300]
  return ('same', '') if found == expected else ('silent', '')


def value_of(x):
  """A digest of anything that a reader gives: arrays, frames, texts."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(x):
    digest.update(jax.tree_util.keystr(path).encode())
    if hasattr(leaf, 'to_csv'):
      digest.update(leaf.to_csv(float_format='%r').encode())
    elif hasattr(leaf, '__array__') and not isinstance(leaf, np.generic):
      array = np.asarray(leaf)
      digest.update(f'{array.dtype} {array.shape}'.encode() + array.tobytes())
    else:
      digest.update(repr(leaf).encode())
  return digest.hexdigest()
