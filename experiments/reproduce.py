"""The whole study: from nothing to the table of claims.

    python -m experiments.reproduce --config=configs/reproduce.py:micro \
        --workdir=runs/reproduce

Runs every job of the preset on a pool of worker processes, skips what is done,
resumes what was interrupted, and writes DIR/report/index.html and claims.json.
"""

import json
import os
import sys
import time
from pathlib import Path

from experiments.shared import command, study_report
from experiments.studies import simulated as plan_jobs
from experiments.studies.pool import Pool
from rlhf_jax.train.run import (
  Run,
  RunError,
  commit,
  read_json,
  write_json,
)


def report_line(text):
  """One line of progress, at once."""
  print(text, file=sys.stderr, flush=True)


class Ledger:
  """Seconds and compiled programs of a study, over all of its sessions."""

  def __init__(self, path):
    self.path = Path(path)
    empty = {'seconds': 0.0, 'jobs': {}, 'programs': []}
    self.past = read_json(self.path) if self.path.exists() else empty

  def now(self, seconds, jobs, programs):
    """Everything so far, this session included; also written to disk.

    A session in which no job was left to do adds nothing.
    """
    if set(jobs) <= set(self.past['jobs']):
      return self.past
    session = len({row.get('session', 0) for row in self.past['programs']})
    total = {
      'seconds': round(self.past['seconds'] + seconds, 1),
      'jobs': {n: round(s, 1) for n, s in jobs.items()} | self.past['jobs'],
      'programs': self.past['programs']
      + [row | {'session': session} for row in programs],
    }
    write_json(self.path, total)
    return total


def check_data(config):
  """Fails before any work when the data cannot be there."""
  data = config['data']
  if data['source'] == 'hh' and not Path(data['path']).is_dir():
    raise RunError(
      f'{data["path"]!r} is not a directory: set --config.data.path to the '
      'folder with the HH pairs'
    )


def stages_of(jobs):
  """Seconds by stage, summed over jobs."""
  sums = {}
  for name, seconds in jobs.items():
    key = name.split('-s')[0].rsplit('/', 1)
    key = '/'.join((key[0], key[-1].split('-')[0])) if len(key) > 1 else key[0]
    sums[key] = sums.get(key, 0.0) + seconds
  return [{'name': k, 'seconds': round(v, 1)} for k, v in sums.items()]


def run(config, workdir):
  """Runs the study and prints its claims."""
  config = json.loads(json.dumps(config))
  check_data(config)
  root, started = Path(workdir).resolve(), time.time()
  os.environ['RLHF_JAX_COMMIT'] = commit()  # one for all workers
  # This process looks at the device only for its name.
  os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
  with Run(root, config, row={'role': 'study'}) as study:
    ledger = Ledger(root / 'ledger.json')
    cache = os.environ.get('RLHF_JAX_CACHE', root / 'jax_cache')
    pool = Pool(config['workers'], root, cache, report_line)
    note = lambda: ledger.now(
      time.time() - started, pool.seconds, pool.programs()
    )
    try:
      seconds = pool.run(plan_jobs.all_jobs(config, root), after=note)
    except RuntimeError as error:
      raise RunError(str(error)) from None
    finally:
      pool.close()
    spent = note()
    stages, programs = stages_of(spent['jobs']), spent['programs']
    study.finish(seconds=spent['seconds'], stages=stages, programs=programs)
    report_line(f'{len(seconds)} jobs done; analysing')
    programs = [
      {k: v for k, v in p.items() if k != 'session'} for p in programs
    ]
    document = study_report.write(root, spent['seconds'], programs, stages)
  study_report.print_claims(document)
  print(f'report: {root}/report/index.html')


if __name__ == '__main__':
  command.main(run, 'configs/reproduce.py', 'runs/reproduce')
