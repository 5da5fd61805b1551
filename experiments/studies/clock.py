"""Time that is left of a list of jobs, by what each should take."""

import time

from rlhf_jax.train.progress import time_text

A_WEIGHT = 20.0  # seconds of a job of weight 1, to the order of it
TRUST = 0.1  # of a whole list: how much of it has to be seen to correct it


def by_weight(job) -> float:
  """Seconds a job should take where nothing but its weight is known."""
  return A_WEIGHT * (job.weight or 1.0)


def remaining(elapsed, finished, rest):
  """Seconds that the rest should take, None where nothing is known.

    rest (elapsed + p) / (finished + p),   p = (finished + rest) / 10

  What was reckoned, corrected by how long the jobs took that are done. Long
  jobs are started first, so that the first to end say little.

  Args:
    elapsed: seconds in which `finished` was done.
    finished: seconds reckoned for the jobs that are done since then.
    rest: of those that are not.
  """
  if not finished or not rest:
    return None
  trust = TRUST * (finished + rest)
  return rest * (elapsed + trust) / (finished + trust)


class Clock:
  """Lines that say what is done, and when the rest should be.

  Args:
    todo: [Job] that are not done yet; the others are skipped.
    total: number of all jobs.
    reckoned: job -> seconds that it should take.
  """

  def __init__(self, todo, total, reckoned=by_weight):
    self.started, self.total, self.done = time.time(), total, 0
    self.left = {job.name: reckoned(job) for job in todo}
    self.whole = sum(self.left.values())

  def line(self, job, seconds):
    """The line of a job that took so long, and about how long the rest."""
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
