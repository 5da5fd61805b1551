"""Memory and time of reading pairs of one's own, by size of the file.

    python -m benchmarks.read_pairs [--json FILE] [--megabytes 64 500 2000]

JSON lines of about 2 kB are written, read and drawn from as `train_pm` does
(`data.own_pairs`, 800 pairs to train on and 400 held out), each file in a
process of its own. `peak_bytes` is the most that the process held, its imports
included; `peak_growth` is that of the largest file over that of the smallest:
1, if memory is flat in the size of the file. `cpu_s` is processor time, which
other processes of the machine do not lengthen as they do `seconds`.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks.common import print_row, to_rows, write_rows
from rlhf_jax.data.own_pairs import Limits, read_own_pairs

SIZES = [64, 500, 2000]
LIMITS = Limits(train=800, test=400)
WORDS = 'the quick brown fox jumps over the lazy dog and is not seen again '


def write_file(path, megabytes):
  """Writes pairs of different questions until the file is so large."""
  size, wanted, count = 0, megabytes * 10**6, 0
  with path.open('wb') as file:
    while size < wanted:
      row = {
        'prompt': f'Question {count}: {WORDS * 10}',
        'chosen': WORDS * 12,
        'rejected': WORDS * 8,
      }
      size += file.write(json.dumps(row).encode() + b'\n')
      count += 1
  return count


def read_file(path):
  """{'pairs', 'seconds', 'cpu_s', 'peak_bytes'} of reading in this process."""
  start, cpu_start = time.perf_counter(), time.process_time()
  found = read_own_pairs(path, 'raise', 0.1, 0, LIMITS)
  seconds = time.perf_counter() - start
  cpu_s = time.process_time() - cpu_start
  [counts] = found.counts['files'].values()
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  return {
    'pairs': counts['kept'],
    'seconds': seconds,
    'cpu_s': cpu_s,
    'peak_bytes': peak,
  }


def measure(megabytes, folder):
  """What `read_file` finds in a process of its own, of a new file."""
  path = pathlib.Path(folder) / f'{megabytes}.jsonl'
  count = write_file(path, megabytes)
  child = [sys.executable, '-m', 'benchmarks.read_pairs', '--read', str(path)]
  done = subprocess.run(
    child,
    cwd=pathlib.Path(__file__).parents[1],
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  found = json.loads(done.stdout.splitlines()[-1])
  path.unlink()
  if found['pairs'] != count:
    raise ValueError(f'wanted {count} pairs of {path}, got {found["pairs"]}')
  return found


def rows_of(found):
  """Rows of {megabytes: what was measured}."""
  rows = []
  for megabytes, one in found.items():
    lines = [
      ('peak_bytes', one['peak_bytes'], 'bytes'),
      ('seconds', one['seconds'], 's'),
      ('cpu_s', one['cpu_s'], 's'),
      ('pairs_per_cpu_s', one['pairs'] / one['cpu_s'], 'pairs/s'),
    ]
    rows += to_rows('read_pairs', f'{megabytes} MB of JSON lines', lines)
  least, most = min(found), max(found)
  growth = found[most]['peak_bytes'] / found[least]['peak_bytes']
  shape = f'{most} MB over {least} MB'
  return rows + to_rows('read_pairs', shape, [('peak_growth', growth, 'ratio')])


def main(argv=None):
  """Prints the table, writes the rows and returns them."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.read_pairs')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument('--megabytes', type=int, nargs='+', default=SIZES)
  parser.add_argument('--read', type=pathlib.Path, help='read one file only')
  args = parser.parse_args(argv)
  if args.read:
    print(json.dumps(read_file(args.read)))
    return []
  with tempfile.TemporaryDirectory() as folder:
    rows = rows_of({mb: measure(mb, folder) for mb in args.megabytes})
  for row in rows:
    print(row['shape'])
    print_row(row)
  write_rows(args.json, rows)
  return rows


if __name__ == '__main__':
  main()
