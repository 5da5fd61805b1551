"""The whole study: from nothing to the table of claims.

    python -m experiments.reproduce --config=configs/reproduce.py:micro \
        --workdir=runs/reproduce

Runs every job of the preset's themes on a pool of worker processes (--on=slurm:
on a cluster; --on=list prints them, each with its command), skips what is done,
resumes what was interrupted, and writes DIR/report/index.html and claims.json.
--config.themes=scaling,robustness runs some of the themes, also in the folder
of a study that ran others: what is done there is not done again.
"""

import json
import os
import time
from pathlib import Path

from experiments.shared import command, study_report
from experiments.studies import cost, launch, registry, single
from experiments.studies.job import is_done, is_lost
from rlhf_jax.train import about
from rlhf_jax.train.about import RunError
from rlhf_jax.train.locks import take_lock
from rlhf_jax.train.progress import time_text
from rlhf_jax.train.run import Run, commit, read_json, write_json


class Ledger:
  """Seconds and compiled programs of a study, over all of its sessions.

  Args:
    path: the file in which it is kept.
    elsewhere: {name: {'seconds', 'programs'}} of the jobs that ran by
      themselves. Those it does not know yet are taken in.
  """

  def __init__(self, path, elsewhere):
    self.path = Path(path)
    empty = {'seconds': 0.0, 'jobs': {}, 'programs': []}
    self.past = self._read() if self.path.exists() else empty
    new = {n: s for n, s in elsewhere.items() if n not in self.past['jobs']}
    self.total = self.past
    if new:
      self.past = self._sum(
        sum(spent['seconds'] for spent in new.values()),
        {name: spent['seconds'] for name, spent in new.items()},
        [
          row | {'worker': name}
          for name, spent in new.items()
          for row in spent['programs']
        ],
      )
      self._keep(self.past)

  def _read(self):
    past, number = read_json(self.path), (int, float)
    parts = [past.get(key) for key in ('seconds', 'jobs', 'programs')]
    seconds, jobs, programs = parts
    if not (
      isinstance(seconds, number)
      and isinstance(jobs, dict)
      and all(isinstance(spent, number) for spent in jobs.values())
      and isinstance(programs, list)
      and all(isinstance(row, dict) for row in programs)
    ):
      raise RunError(
        f'{self.path} is damaged (wanted seconds, jobs and programs): delete '
        'it, it only says how long the jobs took'
      )
    return past

  def now(self, seconds, jobs, programs):
    """Everything so far, this session included; also written to disk.

    A session in which no job was left to do adds nothing.
    """
    if not set(jobs) <= set(self.past['jobs']):
      self._keep(self._sum(seconds, jobs, programs))
    return self.total

  def _sum(self, seconds, jobs, programs):
    session = len({row.get('session', 0) for row in self.past['programs']})
    return {
      'seconds': round(self.past['seconds'] + seconds, 1),
      'jobs': {n: round(s, 1) for n, s in jobs.items()} | self.past['jobs'],
      'programs': self.past['programs']
      + [row | {'session': session} for row in programs],
    }

  def _keep(self, total):
    self.total = total
    write_json(self.path, total)


def check_data(config):
  """Fails before any work when the data cannot be there."""
  data = config['data']
  if data['source'] == 'hh' and not Path(data['path']).is_dir():
    raise RunError(
      f'{data["path"]!r} is not a directory: set --config.data.path to the '
      'folder with the HH pairs'
    )
  if data['source'] == 'pairs' and not Path(data['path']).exists():
    raise RunError(
      f'{data["path"]!r} is not there: set --config.data.path to the file or '
      'folder with your pairs'
    )


def stages_of(jobs):
  """Seconds by stage, summed over jobs."""
  sums = {}
  for name, seconds in jobs.items():
    key = name.split('-s')[0].rsplit('/', 1)
    key = '/'.join((key[0], key[-1].split('-')[0])) if len(key) > 1 else key[0]
    sums[key] = sums.get(key, 0.0) + seconds
  return [{'name': k, 'seconds': round(v, 1)} for k, v in sums.items()]


def take_on_chapters(root, config):
  """Lets a study that is there go on with other themes.

  Jobs that are done stay as they are: each is asked for its own config when it
  comes up, and says so if that is another.

  Args:
    root: of the study.
    config: that is asked for now, plain values.

  Raises:
    RunError: if another process is at work there.
  """
  if not (root / 'config.json').exists():
    return
  with take_lock(root, True):
    _make_room(root, config)


def _make_room(root, config):
  """Takes away the config of a study that differs in its themes alone."""
  old = about.read(root).config
  other = {k for k in old | config if old.get(k) != config.get(k)}
  free = {'preset', 'themes', *registry.THEMES, *(config.keys() - old.keys())}
  if other and other <= free:
    for name in ('done.json', 'config.json'):
      (root / name).unlink(missing_ok=True)


def plan_text(jobs, todo) -> str:
  """What a study says as it starts: its jobs, and how long they should take.

  Args:
    jobs: all of the study.
    todo: those that are not done.
  """
  text = f'{len(jobs)} jobs, {len(todo)} to do'
  if not todo or cost.unknown_sizes(todo):
    return text
  seconds = sum(seconds for *_, seconds in cost.table(todo))
  return f'{text}, about {time_text(seconds)} of two quiet cores'


def run_jobs(jobs, root, options):
  """Runs the jobs of a study; what they took, or None if some are left to do.

  Raises:
    RunError: naming the job that failed.
  """
  started = time.time()
  done = [job.name for job in jobs if is_done(job, root)]
  launch.report(plan_text(jobs, [job for job in jobs if job.name not in done]))
  spent = {name: single.spent(root / name) for name in done}
  ledger = Ledger(root / 'ledger.json', {n: s for n, s in spent.items() if s})
  note = lambda *spent: ledger.now(time.time() - started, *spent)
  complete = launch.run(jobs, root, options, after=note)
  return ledger.total if complete else None


def run(config, workdir, on):
  """Runs the study and prints its claims.

  Args:
    config: of the study.
    workdir: its root.
    on: launch.Options.
  """
  config = json.loads(json.dumps(config))
  check_data(config)
  root = Path(workdir).resolve()
  jobs = registry.all_jobs(config, root)
  os.environ['RLHF_JAX_COMMIT'] = commit()  # one for all workers
  # This process looks at the device only for its name.
  os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
  kind = about.About('reproduce', 'study')
  take_on_chapters(root, config)
  with Run(root, config, row={'role': 'study'}, about=kind) as study:
    asked = on._replace(workers=config['workers'], reckoned=cost.reckoned)
    spent = run_jobs(jobs, root, asked)
    if spent is None:
      return
    stages, programs = stages_of(spent['jobs']), spent['programs']
    study.finish(seconds=spent['seconds'], stages=stages, programs=programs)
    lost = sum(is_lost(job, root) for job in jobs)
    without = f', {lost} lost to numbers that are not finite' if lost else ''
    launch.report(f'{len(spent["jobs"])} jobs done{without}; analysing')
    programs = [
      {k: v for k, v in p.items() if k != 'session'} for p in programs
    ]
    document = study_report.write(root, spent['seconds'], programs, stages)
  study_report.print_claims(document)
  print(f'report: {root}/report/index.html')


def main():
  """Reads the flags and runs."""
  options = launch.define_flags('pool')
  command.main(
    lambda config, workdir: run(config, workdir, options()),
    'configs/reproduce.py',
    'runs/reproduce',
  )


if __name__ == '__main__':
  main()
