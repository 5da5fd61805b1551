"""The thread that owns the models: takes requests from the queue, in batches.

Pages never wait for it. What it is writing is read from `partial`; what it has
written is in the database.
"""

import contextlib
import logging
import sqlite3
import threading
import traceback

from apps.feedback import queued
from apps.feedback.database import connect

PAUSE = 1.0  # seconds between looks at the queue, unless it is woken
log = logging.getLogger('apps.feedback')


class Generation(threading.Thread):
  """A thread; `start` begins with whatever an earlier one left undone."""

  def __init__(self, path, writers):
    """Takes the database and who writes.

    Args:
      path: of the database.
      writers: `Writers`, or anything with its `rows`, `snapshots`, `sampler`,
        `group` and `write`.
    """
    super().__init__(name='generation', daemon=True)
    self.writers = writers
    self._path, self._partial = path, {}
    self._lock, self._wake = threading.Lock(), threading.Event()
    self._ended = False

  def wake(self) -> None:
    """Tells it that there is something in the queue."""
    self._wake.set()

  def stop(self) -> None:
    """Lets it end after the batch that it is at, and waits for that."""
    self._ended = True
    self._wake.set()
    self.join()

  def partial(self, reply_id: int) -> str:
    """What is written of a reply so far."""
    with self._lock:
      return self._partial.get(reply_id, '')

  def run(self) -> None:
    """Works until `stop`; what a full disk kept out is tried again."""
    with contextlib.closing(connect(self._path)) as db:
      while not self._ended:
        self._wake.clear()
        try:
          more = self.work(db)
        except sqlite3.Error as error:
          log.error('replies are not stored, trying again: %s', error)
          more = False
        if not more:
          self._wake.wait(PAUSE)

  def work(self, db) -> bool:
    """Writes one batch; False if nothing waits."""
    requests = queued.waiting(db)
    if not requests:
      return False
    batch = self._batch(db, requests)
    if batch:
      self._write(db, batch)
    return True

  def _batch(self, db, requests):
    """The first request, and what can be written together with it."""
    wanted, batch, seeds = None, [], set()
    for request in requests:
      try:
        group = self.writers.group(request)
      except Exception as error:  # as of `_write`
        log.warning('a prompt was refused: %s', type(error).__name__)
        queued.fail(db, [request.id], str(error))
        continue
      wanted = wanted or group
      if group == wanted and request.seed not in seeds:
        batch.append(request)
        seeds.add(request.seed)
      if len(batch) == self.writers.rows:
        break
    return batch

  def _write(self, db, batch):
    def show(index, text):
      with self._lock:
        self._partial[batch[index].id] = text

    try:
      written = self.writers.write(batch, show)
    except Exception as error:  # a page has to be told, whatever it was
      where = ''.join(traceback.format_tb(error.__traceback__))
      log.error('replies failed: %s\n%s', type(error).__name__, where)
      queued.fail(db, [x.id for x in batch], f'{type(error).__name__}: {error}')
    else:
      ids = [request.id for request in batch]
      queued.write(db, dict(zip(ids, written, strict=True)))
    with self._lock:
      for request in batch:
        self._partial.pop(request.id, None)
