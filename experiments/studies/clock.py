"""Time that is left of a list of jobs, by their weights."""

import time

from rlhf_jax.train.progress import time_text


def remaining(elapsed, finished, rest):
  """Seconds that the rest should take, None where nothing is known.

    rest elapsed / finished

  Args:
    elapsed: seconds in which `finished` was done.
    finished: weight of the jobs that are done since then.
    rest: weight of those that are not.
  """
  return elapsed * rest / finished if finished and rest else None


class Clock:
  """Lines that say what is done, and when the rest should be.

  Args:
    todo: [Job] that are not done yet; the others are skipped.
    total: number of all jobs.
  """

  def __init__(self, todo, total):
    self.started, self.total, self.done = time.time(), total, 0
    self.left = {job.name: job.weight or 1.0 for job in todo}
    self.whole = sum(self.left.values())

  def line(self, job, seconds):
    """The line of a job that took so long; time left goes by weights."""
    self.done += 1
    head = f'[{self.done}/{self.total}] {job.shown}'
    if job.name not in self.left:
      return f'{head}: done before, skipped'
    del self.left[job.name]
    elapsed = time.time() - self.started
    rest = sum(self.left.values())
    left = remaining(elapsed, self.whole - rest, rest)
    about = f', about {time_text(left)} left' if left is not None else ''
    return f'{head} in {seconds:.1f} s ({elapsed:.0f} s in all{about})'
