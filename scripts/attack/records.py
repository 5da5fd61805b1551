"""Malformed records: a file with one of them is counted or named, never read.

Each trial spoils one line of a file of good records in one way; the file is
read with 'skip', which has to count it, and with 'raise', which has to name
file and line. A change that leaves a record well-formed may be kept.
"""

import json
import random
from pathlib import Path

from experiments.shared.command import EXPECTED, one_line
from rlhf_jax.data.jsonl import read_comparisons

GOOD = 12  # records beside the spoiled one
CHAT = '\n\nHuman: {}\n\nAssistant: {}'


def _record(rng):
  word = lambda: ' '.join(rng.choices(('red', 'seven', 'why', 'a', '?'), k=4))
  ask = word()
  sides = {k: CHAT.format(ask, word()) for k in ('chosen', 'rejected')}
  return sides | {'source': 'helpful-base', 'p_label': rng.random()}


VALUES = (
  None,
  True,
  -1,
  1e400,
  float('nan'),
  '',
  ' ',
  [],
  {},
  [[]],
  'Human: no blank lines',
  '\n\nHuman: only this',
  '\n\nAssistant: only that',
  '\ud800',
  [{'role': 'user'}],
  [{'role': 3, 'content': 'x'}],
  [{'role': 'user', 'content': None}],
  '\x00' * 5,
  {'chosen': {}},
  10**400,
)


def _cut(line, rng):
  return line[: rng.randrange(len(line))]


def _byte(line, rng):
  place = rng.randrange(len(line))
  return line[:place] + bytes([rng.randrange(256)]) + line[place + 1 :]


def _value(line, rng):
  row = json.loads(line)
  row[rng.choice(list(row))] = rng.choice(VALUES)
  return json.dumps(row).encode()


def _key(line, rng):
  row = json.loads(line)
  del row[rng.choice(('chosen', 'rejected'))]
  return json.dumps(row).encode()


def _other(line, rng):
  del line
  return rng.choice((b'[]', b'null', b'3', b'"x"', b'{}', b'[' * 9999, b'\xff'))


def _twice(line, rng):
  return line + rng.choice((b'', b',', b' ')) + line


WAYS = {f.__name__[1:]: f for f in (_cut, _byte, _value, _key, _other, _twice)}


def spoiled(rng, way):
  """(the lines of a file, number of the spoiled one)."""
  lines = [json.dumps(_record(rng)).encode() for _ in range(GOOD + 1)]
  place = rng.randrange(len(lines))
  lines[place] = WAYS[way](lines[place], rng).replace(b'\n', b' ')
  return lines, place


def outcome(file, lines, place):
  """(outcome, detail) of reading a file with a spoiled line."""
  file.write_bytes(b'\n'.join(lines) + b'\n')
  try:
    found, counts = read_comparisons(file, 'skip')
  except Exception as error:  # noqa: BLE001 (what an attack looks for)
    return 'unclear', f'{type(error).__name__}: {error}'[:300]
  if len(found) != counts['kept'] or counts['kept'] < GOOD:
    return 'silent', f'{len(found)} of {GOOD} good records: {dict(counts)}'
  reasons = {k: n for k, n in counts.items() if k not in ('read', 'kept')}
  if counts['read'] != counts['kept'] + sum(reasons.values()):
    return 'silent', f'counts that do not add up: {dict(counts)}'
  try:
    read_comparisons(file, 'raise')
  except EXPECTED as error:
    line = one_line(error)
    if f'{file}:{place + 1}' in line and '\n' not in str(error):
      return ('counted', line) if any(reasons.values()) else ('unclear', line)
    return 'unclear', line
  except Exception as error:  # noqa: BLE001 (what an attack looks for)
    return 'unclear', f'{type(error).__name__}: {error}'[:300]
  if any(reasons.values()):
    return 'unclear', f'skipped and not refused: {dict(counts)}'
  return 'same', ''  # still a record, or a blank line


def attack(trials, scratch, count, report):
  """Reads `count` files with a spoiled record each.

  Args:
    trials: Trials.
    scratch: folder of the files.
    count: of all ways together.
    report: callable(str).
  """
  file, ways = Path(scratch) / 'records.jsonl', list(WAYS)
  for number in range(count):
    way = ways[number % len(ways)]
    if not trials.has('records', way, number):
      rng = random.Random(f'records {number}')
      trials.add('records', way, number, *outcome(file, *spoiled(rng, way)))
    if (number + 1) % 100 == 0:
      report(f'records: {number + 1}/{count}')
