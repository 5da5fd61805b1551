"""A stage that counts, and the study of four of them: a, then b and B, then c.

A run adds one to the sum of the runs that it reads, a step at a time, resumes
where it stopped, and fails in its second step while `broken` names a file that
is there. What the file says is how: 'nan' as if a number were not finite,
'memory' as if it ran out, 'exit' and 'scancel' once, from outside, and anything
else is an error.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import time

from experiments.studies.job import Job, write_json
from rlhf_jax.train import about

TEXT = """it's "quoted", $HOME, a\\b; 100% `ls`"""


def run(config, workdir):
  """Writes steps.txt, a line a step with the process, and value.txt.

  As `Run` does, without JAX: it starts in a moment.
  """
  workdir.mkdir(exist_ok=True)
  if about.is_run(workdir):
    if about.read(workdir).config != json.loads(json.dumps(config)):
      raise about.RunError(f'{workdir} holds a run with another config')
  else:
    stored = about.store(config, about.study_of(workdir))
    kind = about.About('counting', 'table')._asdict()
    write_json(workdir / 'config.json', kind | {'config': stored, 'row': {}})
  if (workdir / 'done.json').exists():
    return
  file = workdir / 'steps.txt'
  done = file.read_text().splitlines() if file.exists() else []
  for step in range(len(done), config['steps']):
    time.sleep(config.get('pause', 0))
    broken = pathlib.Path(config['broken'])
    if step == 1 and broken.exists():
      with contextlib.suppress(FileNotFoundError):  # another run took it
        fail(broken, workdir)
    with file.open('a') as lines:
      lines.write(f'{os.getpid()}\n')
  read = [pathlib.Path(path) / 'value.txt' for path in config['reads']]
  value = 1 + sum(int(path.read_text().split()[0]) for path in read)
  value += config.get('seed', 0)
  (workdir / 'value.txt').write_text(f'{value} {config["text"]}')
  write_json(workdir / 'done.json', {'seconds': 0.1, 'value': value})


def fail(broken, workdir):
  """Ends the step as the file says."""
  how = broken.read_text()
  if how in ('exit', 'scancel'):
    broken.rename(broken.with_name(f'{broken.name}-taken'))
  if how == 'nan':
    message = f'{workdir.name}: loss is not finite at update 1'
    write_json(workdir / 'failed.json', {'message': message})
    raise about.RunError(message)
  if how == 'memory':
    raise MemoryError
  if how == 'exit':
    os._exit(9)
  if how == 'scancel':
    task = '_'.join(
      os.environ[name] for name in ('SLURM_ARRAY_JOB_ID', 'SLURM_ARRAY_TASK_ID')
    )
    subprocess.run(['scancel', task], check=True)
    time.sleep(60)
  raise ValueError(f'{broken} is in the way')


def study(root, steps=3, **more):
  """The four jobs; `b` and `B` share their needs and their program."""

  def job(name, *needs, program=''):
    config = {'steps': steps, 'text': TEXT, 'broken': f'{root}/no-{name}'}
    config['reads'] = [f'{root}/{need.name}' for need in needs]
    return Job(name, 'counting_stage', config | more, needs, program)

  a = job('a')
  b, other = job('b', a, program='b'), job('B', a, program='b')
  return [job('c', b, other), b, other, a]


def steps_of(root, name):
  """How many steps each of a job's processes made."""
  pids = (root / name / 'steps.txt').read_text().split()
  return [pids.count(pid) for pid in dict.fromkeys(pids)]


def values(root):
  return {
    path.parent.name: path.read_text() for path in root.glob('*/value.txt')
  }
