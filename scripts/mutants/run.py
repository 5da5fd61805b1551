"""Plants the defects of docs/mutants.json, one at a time, and runs the tests.

    python -m scripts.mutants.run [--jobs 1] [--only losses]   (make mutants)

Each worker has a copy of the commit, plants a defect in it and runs the test
files that import the file, nearest and quickest first, until one fails. Files
that are known not to reach the line are left out (`scripts.mutants.probes`). A
test that fails without the defect too says nothing and is left out. What is
done is kept in docs/mutants_results.json, so that a stopped run goes on.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from scripts.mutants import probes, rules, server
from scripts.mutants.importers import importing_tests
from scripts.mutants.plan import LIST, ROOT

RESULTS = ROOT / 'docs' / 'mutants_results.json'
REASONS = ROOT / 'docs' / 'mutants_reasons.json'
FAR = 3  # imports between a test and the file, in the last round
FAILED = re.compile(r'^(?:FAILED|ERROR) (.+?)(?: - .*)?$', re.MULTILINE)
NO_TESTS = 5  # pytest's status when all tests are slow
UNKNOWN = 5.0  # seconds of a file that has not run yet
PATIENCE = 14.0  # the same, to end what hangs


def copy_of(commit, folder):
  """A copy of a commit, with the environment of this checkout."""
  archive = subprocess.run(
    ['git', '-C', str(ROOT), 'archive', commit], check=True, capture_output=True
  )
  subprocess.run(['tar', '-x', '-C', folder], input=archive.stdout, check=True)
  (Path(folder) / '.venv').symlink_to(ROOT / '.venv')
  return Path(folder)


class Tests:
  """Test files of a folder, run by a server; what is known of them.

  Attributes:
    seconds: {file: seconds of its quick tests}, of files that ran to the end.
    reached: {file: {number of a probe: first test that came there}}.
    unsound: tests that fail without a defect.
  """

  def __init__(self, folder):
    self.folder, self.traces = folder, folder / '.traces'
    self.seconds, self.reached = {}, {}
    self.unsound, self._sound = set(), set()
    cache = os.environ.get('JAX_COMPILATION_CACHE_DIR', ROOT / '.jax_cache')
    self._server = subprocess.Popen(
      [sys.executable, server.__file__, str(folder / 'tests/conftest.py')],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      env=os.environ | {'JAX_COMPILATION_CACHE_DIR': str(cache)},
    )

  def run(self, name, first='', *options):
    """(exit status, first failing test or '') of a file's quick tests."""
    log = self.folder / '.log'
    shutil.rmtree(self.traces, ignore_errors=True)
    self.traces.mkdir()
    job = {
      'folder': str(self.folder),
      'first': first,
      'log': str(log),
      'limit': 60 + 10 * self.seconds.get(name, PATIENCE),
      'arguments': [
        '-x', '-q', '-p', 'no:cacheprovider', '-p', 'no:xdist',
        '-m', 'not slow', f'--basetemp={self.folder / ".temp"}',
        *(f'--deselect={test}' for test in sorted(self.unsound)),
        *options, name,
      ],
    }  # fmt: skip
    self._server.stdin.write(json.dumps(job) + '\n')
    self._server.stdin.flush()
    done = json.loads(self._server.stdout.readline())
    text = log.read_text(errors='replace')
    status, failed = done['status'], FAILED.search(text)
    if status in (0, NO_TESTS) and not first:
      self.seconds[name] = done['seconds']
      self.reached[name] = {
        int(file.name): file.read_text().split('\n')[0].rsplit(' ', 1)[0]
        for file in self.traces.iterdir()
      }
    if status == server.NO_END:
      return status, f'no end after {done["seconds"]:.0f} s'
    return status, failed.group(1) if failed else ''

  def is_sound(self, name, test):
    """Whether a test of a file that failed passes without the defect."""
    if test in self._sound:
      return True
    inner = '::' in test
    status, _ = self.run(test if inner else name, '', *(
      () if inner else ('--collect-only',)
    ))  # fmt: skip
    if status == 0:
      self._sound.add(test)
    else:
      self.unsound.add(test)
    return status == 0

  def close(self):
    """Ends the server."""
    self._server.stdin.close()
    self._server.wait()


class Worker:
  """A copy of the commit, in which one defect at a time is planted."""

  def __init__(self, commit, defects):
    self._folder = tempfile.TemporaryDirectory()
    self.path = copy_of(commit, self._folder.name)
    self.tests = Tests(self.path)
    self._sources, self._lines = {}, {}
    for number, defect in enumerate(defects):
      path = defect['path']
      self._sources[path] = source = (self.path / path).read_text()
      edit = rules.find(source, rules.Edit(**defect['edit']), defect['before'])
      if edit:
        self._lines.setdefault(path, {})[number] = edit.line
    self._numbers = {d['id']: number for number, d in enumerate(defects)}
    for path in self._lines:
      self._write(path, self._sources[path])

  def _write(self, path, source):
    text = probes.probed(source, self._lines[path], str(self.tests.traces))
    (self.path / path).write_text(text)

  def _order(self, defect, files):
    """The files, those first that name the function, then by their seconds.

    Then those named after the defect's file, and those of its folder. Those
    that tests/conftest.py knows to take long are last. Of a file that has not
    run yet the length is taken.
    """
    long = (self.path / 'tests' / 'conftest.py').read_text()
    path, function = Path(defect['path']), defect['function']
    room = path.parts[0 if path.parts[0] == 'experiments' else 1]

    def rank(name):
      test, text = Path(name), (self.path / name).read_text()
      guess = UNKNOWN + len(text) / 2000
      own = (
        f'{path.stem}.{function}(' in text,
        path.stem in test.stem,
        f'{function}(' in text,
        room in test.parts,
      )
      own = (test.name not in long, *own)
      return (*(not x for x in own), self.tests.seconds.get(name, guess))

    return sorted(files, key=rank)

  def _fails(self, defect, changed, name):
    """The test of a file that sees the defect, or ''."""
    number, tests = self._numbers[defect['id']], self.tests
    reached = tests.reached.get(name, {number: ''})
    if number not in reached:
      return ''
    while True:
      self._write(defect['path'], changed)
      try:
        status, by = tests.run(name, reached[number])
      finally:
        self._write(defect['path'], self._sources[defect['path']])
      if status in (0, NO_TESTS):
        return ''
      if status == server.NO_END:
        return by if tests.run(name)[0] in (0, NO_TESTS) else ''
      if tests.is_sound(name, by or name):
        return by or name

  def judge(self, defect, distance):
    """Test so many imports away that sees a defect, '' or None: no such line.

    None is the answer for a line that is not there any more.
    """
    path, source = defect['path'], self._sources[defect['path']]
    edit = rules.find(source, rules.Edit(**defect['edit']), defect['before'])
    changed = edit and rules.apply(source, edit)
    if not changed:
      return None
    near = importing_tests(path).items()
    for name in self._order(defect, [n for n, d in near if d == distance]):
      by = self._fails(defect, changed, name)
      if by:
        return by
    return ''


class Record:
  """Results, written whenever one is known."""

  def __init__(self, commit, kept, count):
    self.kept, self._commit, self._count = kept, commit, count
    self._seconds, self._done, self._lock = {}, 0, threading.Lock()

  def add(self, defect, by, seconds, last):
    """Takes the answer of one round; True if it is the last for the defect."""
    name = defect['id']
    with self._lock:
      self._seconds[name] = self._seconds.get(name, 0.0) + seconds
      if by == '' and not last:
        print(f'open {name}', flush=True)
        return False
      self._done += 1
      row = {
        'caught': None if by is None else bool(by),
        'by': 'the line is gone' if by is None else by,
        'seconds': round(self._seconds[name], 1),
        'commit': self._commit,
      }
      self.kept[name] = row
      RESULTS.write_text(json.dumps(self.kept, indent=1, sort_keys=True) + '\n')
      print(
        f'{self._done}/{self._count} {name} {row["seconds"]} s '
        f'{row["by"] or "NOT CAUGHT " + defect["after"]}',
        flush=True,
      )
    return True


def run_all(defects, todo, record, commit, jobs):
  """Judges the defects of `todo`, those tests first that are nearest."""
  local = threading.local()

  def one(defect, distance):
    if not hasattr(local, 'worker'):
      local.worker = Worker(commit, defects)
    started = time.time()
    by = local.worker.judge(defect, distance)
    spent = time.time() - started
    return record.add(defect, by, spent, distance == FAR)

  with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    for distance in range(1, FAR + 1):
      ended = pool.map(lambda d, far=distance: one(d, far), todo)
      todo = [d for d, end in zip(todo, list(ended), strict=True) if not end]


def main(arguments=None):
  """Entry point."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--jobs', type=int, default=2)
  parser.add_argument('--only', default='', help='beginnings of ids, by comma')
  parser.add_argument('--again', action='store_true', help='those not caught')
  arguments = parser.parse_args(arguments)
  defects = json.loads(LIST.read_text())
  kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
  again = lambda row: arguments.again and not row['caught']
  todo = [
    d
    for d in defects
    if d['id'].startswith(tuple(arguments.only.split(',')))
    and (d['id'] not in kept or again(kept[d['id']]))
  ]
  named = json.loads(REASONS.read_text()) if REASONS.exists() else {}
  todo.sort(key=lambda d: d['id'] in named)  # equivalents come last
  commit = subprocess.run(
    ['git', '-C', str(ROOT), 'rev-parse', '--short=12', 'HEAD'],
    check=True,
    capture_output=True,
    text=True,
  ).stdout.strip()
  record = Record(commit, kept, len(todo))
  run_all(defects, todo, record, commit, arguments.jobs)


if __name__ == '__main__':
  main()
