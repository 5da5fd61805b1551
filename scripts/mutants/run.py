"""Plants the defects of docs/mutants.json, one at a time, and runs the tests.

    python -m scripts.mutants.run [--jobs 2] [--only losses]   (make mutants)

Each worker has a copy of the commit, plants a defect in it and runs the test
files that import the file, nearest and quickest first, until one fails. A file
of tests that fails without a defect says nothing and is left out. What is done
is kept in docs/mutants_results.json, so that a run that was stopped goes on.
"""

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from scripts.mutants import rules
from scripts.mutants.importers import importing_tests
from scripts.mutants.plan import LIST, ROOT

RESULTS = ROOT / 'docs' / 'mutants_results.json'
FAR = 3  # imports between a test and the file, in the last round
LIMIT = 1800  # seconds of one round: a defect that hangs is caught
FAILED = re.compile(r'^(?:FAILED|ERROR) (\S+)', re.MULTILINE)


def copy_of(commit, folder):
  """A copy of a commit, with the environment of this checkout."""
  archive = subprocess.run(
    ['git', '-C', str(ROOT), 'archive', commit], check=True, capture_output=True
  )
  subprocess.run(['tar', '-x', '-C', folder], input=archive.stdout, check=True)
  (Path(folder) / '.venv').symlink_to(ROOT / '.venv')
  return Path(folder)


def run_tests(folder, files):
  """(exit status, first failing test or '') of the quick tests in `files`."""
  command = [
    sys.executable, '-m', 'pytest', '-x', '-q', '-p', 'no:cacheprovider',
    '-p', 'no:xdist', '-m', 'not slow', *files,
  ]  # fmt: skip
  cache = os.environ.get('JAX_COMPILATION_CACHE_DIR', ROOT / '.jax_cache')
  environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': str(cache)}
  try:
    done = subprocess.run(
      command,
      cwd=folder,
      env=environment,
      capture_output=True,
      text=True,
      timeout=LIMIT,
      check=False,
    )
  except subprocess.TimeoutExpired:
    return 1, f'no end after {LIMIT} s'
  failed = FAILED.search(done.stdout)
  return done.returncode, failed.group(1) if failed else done.stdout[-200:]


class Worker:
  """A copy of the commit, in which one defect at a time is planted."""

  def __init__(self, commit, sound, lock):
    self._folder = tempfile.TemporaryDirectory()
    self.path = copy_of(commit, self._folder.name)
    self._sound, self._lock = sound, lock

  def _sound_of(self, files):
    """Files whose tests pass without a defect, quickest first; run once each.

    A file whose tests are all slow is left out.
    """
    for name in files:
      if name not in self._sound:
        started = time.time()
        status, _ = run_tests(self.path, [name])
        with self._lock:
          self._sound[name] = time.time() - started if status == 0 else None
    sound = [name for name in files if self._sound[name] is not None]
    return sorted(sound, key=self._sound.get)

  def judge(self, defect):
    """{'caught', 'by', 'seconds'} of one defect."""
    started = time.time()
    target = self.path / defect['path']
    tests = importing_tests(defect['path'])
    source = target.read_text()
    edit = rules.find(source, rules.Edit(**defect['edit']), defect['before'])
    changed = edit and rules.apply(source, edit)
    if not changed:
      return {'caught': None, 'by': 'the line is gone', 'seconds': 0.0}
    status, by = 0, ''
    for distance in range(1, FAR + 1):
      near = [name for name, d in tests.items() if d == distance]
      files = self._sound_of(near)
      target.write_text(changed)
      try:
        status, by = run_tests(self.path, files) if files else (0, '')
      finally:
        target.write_text(source)
      if status not in (0, 5):
        break
    caught = status not in (0, 5)
    return {
      'caught': caught,
      'by': by if caught else '',
      'seconds': round(time.time() - started, 1),
    }


def main(arguments=None):
  """Entry point."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--jobs', type=int, default=2)
  parser.add_argument('--only', default='', help='beginning of the ids')
  parser.add_argument('--again', action='store_true', help='those not caught')
  arguments = parser.parse_args(arguments)
  defects = json.loads(LIST.read_text())
  kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
  again = lambda row: arguments.again and not row['caught']
  todo = [
    d
    for d in defects
    if d['id'].startswith(arguments.only)
    and (d['id'] not in kept or again(kept[d['id']]))
  ]
  commit = subprocess.run(
    ['git', '-C', str(ROOT), 'rev-parse', '--short=12', 'HEAD'],
    check=True,
    capture_output=True,
    text=True,
  ).stdout.strip()
  lock, local, sound = threading.Lock(), threading.local(), {}

  def one(defect):
    if not hasattr(local, 'worker'):
      local.worker = Worker(commit, sound, lock)
    return defect, local.worker.judge(defect)

  with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
    for done, future in enumerate(
      concurrent.futures.as_completed([pool.submit(one, d) for d in todo]), 1
    ):
      defect, row = future.result()
      kept[defect['id']] = {'commit': commit, **row}
      RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + '\n')
      words = {True: 'caught', False: 'NOT CAUGHT', None: 'gone'}
      word = words[row['caught']]
      print(
        f'{done}/{len(todo)} {defect["id"]} {word} {row["seconds"]} s '
        f'{row["by"] or defect["after"]}',
        flush=True,
      )


if __name__ == '__main__':
  main()
