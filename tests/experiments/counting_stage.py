"""A stage that counts, and the study of four of them: a, then b and B, then c.

A run adds one to the sum of the runs that it reads, a step at a time, resumes
where it stopped, and fails in its second step while `broken` names a file that
is there: one that says 'nan' as if a number were not finite.
"""

import os
import pathlib

from experiments.studies.job import Job, write_json
from rlhf_jax.train import about

TEXT = """it's "quoted", $HOME, a\\b; 100% `ls`"""


def run(config, workdir):
  """Writes steps.txt, a line a step with the process, and value.txt.

  As `Run` does, without JAX: it starts in a moment.
  """
  workdir.mkdir(exist_ok=True)
  if about.is_run(workdir):
    if about.read(workdir).config != config:
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
    broken = pathlib.Path(config['broken'])
    if step == 1 and broken.exists():
      if broken.read_text() == 'nan':
        message = f'{workdir.name}: loss is not finite at update 1'
        write_json(workdir / 'failed.json', {'message': message})
        raise about.RunError(message)
      raise ValueError(f'{broken} is in the way')
    with file.open('a') as lines:
      lines.write(f'{os.getpid()}\n')
  read = [pathlib.Path(path) / 'value.txt' for path in config['reads']]
  value = 1 + sum(int(path.read_text().split()[0]) for path in read)
  (workdir / 'value.txt').write_text(f'{value} {config["text"]}')
  write_json(workdir / 'done.json', {'seconds': 0.1, 'value': value})


def study(root, steps=3):
  """The four jobs; `b` and `B` share their needs and their program."""

  def job(name, *needs, program=''):
    config = {'steps': steps, 'text': TEXT, 'broken': f'{root}/no-{name}'}
    config['reads'] = [f'{root}/{need.name}' for need in needs]
    return Job(name, 'counting_stage', config, needs, program)

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
