"""A SLURM of one node in a folder: sbatch, srun, squeue and scancel for tests.

`install(folder)` writes the commands. They keep a file a task in
$FAKE_SLURM/tasks, and each task is a process of its own that waits for what it
depends on, then for one of two cores, and runs a copy of the script. Options
are those of the script's #SBATCH lines. Output has the form of the real
commands; what they do not know ends in an error, as there.

    $FAKE_SLURM/refuse    sbatch fails with what the file holds
    $FAKE_SLURM/silent    squeue fails as often as the file says
    $FAKE_SLURM/hold      no task starts
    $FAKE_SLURM/keep      a task that can never run stays in the queue
"""

import argparse
import fcntl
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

CORES = 2
OPTIONS = (
  '--array',
  '--job-name',
  '--output',
  '--error',
  '--open-mode',
  '--nodes',
  '--signal',
  '--wckey',
  '--dependency',
  '--kill-on-invalid-dep',
  '--gpus-per-node',
  '--cpus-per-task',
  '--mem',
  '--time',
)


def install(folder):
  """Writes them; the variables of an environment with them."""
  tools, state = folder / 'bin', folder / 'state'
  (state / 'tasks').mkdir(parents=True)
  tools.mkdir()
  for name in ('sbatch', 'srun', 'squeue', 'scancel'):
    (tools / name).write_text(
      f'#!{sys.executable}\nimport sys\n'
      f'sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})\n'
      f'import fake_slurm\nfake_slurm.{name}(sys.argv[1:])\n'
    )
    (tools / name).chmod(0o755)
  path = f'{tools}{os.pathsep}{os.environ["PATH"]}'
  return {'FAKE_SLURM': str(state), 'PATH': path}


def state_folder():
  return pathlib.Path(os.environ['FAKE_SLURM'])


def calls(state):
  """Options of every sbatch that was accepted."""
  file = state / 'calls.jsonl'
  lines = file.read_text().splitlines() if file.exists() else []
  return [json.loads(line) for line in lines]


def tasks(state):
  return {
    file.stem: json.loads(file.read_text())
    for file in sorted((state / 'tasks').glob('*.json'))
  }


def put(folder, task, **changes):
  """Changes what is known of a task; atomically, whoever else does it."""
  file = folder / 'tasks' / f'{task}.json'
  row = json.loads(file.read_text()) if file.exists() else {}
  part = file.with_suffix(f'.{os.getpid()}.part')
  part.write_text(json.dumps(row | changes))
  part.replace(file)


def tasks_of(number, array):
  """[(id, {variable of the environment})] of a job, or of an array 0-N%M."""
  own = {'SLURM_JOB_ID': str(number), 'SLURM_ARRAY_JOB_ID': str(number)}
  if not array:
    return [(str(number), {'SLURM_JOB_ID': str(number)})]
  last = int(re.fullmatch(r'0-(\d+)%\d+', array)[1])
  return [
    (f'{number}_{i}', own | {'SLURM_ARRAY_TASK_ID': str(i)})
    for i in range(last + 1)
  ]


def filled(pattern, environment):
  """The name of a log: %A, %a and %j filled in; %t is task 0."""
  marks = {'%A': 'SLURM_ARRAY_JOB_ID', '%a': 'SLURM_ARRAY_TASK_ID'}
  for mark, name in (marks | {'%j': 'SLURM_JOB_ID'}).items():
    pattern = pattern.replace(mark, environment.get(name, ''))
  return pattern.replace('%t', '0')


def sbatch(argv):
  state, [script] = state_folder(), argv
  parser = argparse.ArgumentParser(prog='sbatch', allow_abbrev=False)
  for option in OPTIONS:
    parser.add_argument(option)
  parser.add_argument('--requeue', action='store_true', required=True)
  text = pathlib.Path(script).read_text()
  lines = re.findall(r'^#SBATCH (.*)$', text, flags=re.M)
  words = [word for line in lines for word in shlex.split(line)]
  asked = parser.parse_args(words)
  if (state / 'refuse').exists():
    print((state / 'refuse').read_text(), file=sys.stderr)
    raise SystemExit(1)
  with (state / 'lock').open('w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    number = 7 + len(calls(state))
    with (state / 'calls.jsonl').open('a') as file:
      file.write(json.dumps(words) + '\n')
  copy = state / f'{number}.sh'
  shutil.copy(script, copy)
  kind, _, after = (asked.dependency or '').partition(':')
  assert kind in ('', 'afterok'), kind
  known = tasks(state)
  for task in filter(None, after.split(':')):
    if task not in known:
      print(f'sbatch: error: Job dependency problem: {task}', file=sys.stderr)
      raise SystemExit(1)
  for name, environment in tasks_of(number, asked.array):
    row = {
      'state': 'PENDING',
      'reason': 'Dependency' if after else 'Resources',
      'after': [x for x in after.split(':') if x],
      'kill': asked.kill_on_invalid_dep == 'yes',
      'output': filled(asked.output, environment),
      'words': ['bash', str(copy)],
      'environment': environment | {'SLURM_SUBMIT_DIR': os.getcwd()},
    }
    put(state, name, **row)
    subprocess.Popen(
      [sys.executable, __file__, str(state), name],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      start_new_session=True,
    )
  print(f'Submitted batch job {number}')


def srun(argv):
  """Runs a command, its output in files of its own."""
  parser = argparse.ArgumentParser(prog='srun', allow_abbrev=False)
  parser.add_argument('--unbuffered', action='store_true', required=True)
  for option in ('--output', '--error'):
    parser.add_argument(option, required=True)
  parser.add_argument('words', nargs=argparse.REMAINDER)
  asked = parser.parse_args(argv)
  for number, pattern in ((1, asked.output), (2, asked.error)):
    file = open(filled(pattern, os.environ), 'a')
    os.dup2(file.fileno(), number)
  os.environ |= {'SLURM_PROCID': '0', 'SLURM_NTASKS': '1'}
  os.execvp(asked.words[0], asked.words)


def squeue(argv):
  state, silent = state_folder(), state_folder() / 'silent'
  parser = argparse.ArgumentParser(prog='squeue', allow_abbrev=False)
  for option in ('--me', '--array', '--noheader'):
    parser.add_argument(option, action='store_true', required=True)
  parser.add_argument('--format', required=True)
  asked = parser.parse_args(argv)
  left = int(silent.read_text()) if silent.exists() else 0
  if left:
    silent.write_text(str(left - 1))
    print(
      'slurm_load_jobs error: Unable to contact slurm controller',
      file=sys.stderr,
    )
    raise SystemExit(1)
  for task, row in tasks(state).items():
    if row['state'] in ('PENDING', 'RUNNING'):
      line = asked.format.replace('%i', task).replace('%T', row['state'])
      print(line.replace('%r', row['reason']))


def scancel(argv):
  """Of tasks that wait; one that runs is left to its end."""
  for task in argv:
    if tasks(state_folder())[task]['state'] == 'PENDING':
      put(state_folder(), task, state='CANCELLED')


def work(state, task):
  """Waits for what a task depends on, then for a core, and runs it."""
  row = tasks(state)[task]
  while True:
    found = tasks(state)
    if found[task]['state'] == 'CANCELLED':
      return
    ends = [found[other]['state'] for other in row['after']]
    if any(end in ('FAILED', 'CANCELLED') for end in ends):
      if row['kill'] and not (state / 'keep').exists():
        put(state, task, state='CANCELLED')
      else:
        put(state, task, reason='DependencyNeverSatisfied')
      return
    if all(end == 'COMPLETED' for end in ends):
      break
    time.sleep(0.05)
  taken = core(state, task)
  if taken is None:
    return
  with taken:
    put(state, task, state='RUNNING', reason='None')
    with open(row['output'], 'a') as output:
      done = subprocess.run(
        row['words'],
        cwd=row['environment']['SLURM_SUBMIT_DIR'],
        env=os.environ | row['environment'],
        stdout=output,
        stderr=subprocess.STDOUT,
        check=False,
      )
  put(state, task, state='FAILED' if done.returncode else 'COMPLETED')


def core(state, task):
  """A file that is locked while a core is taken; None once it is cancelled."""
  while tasks(state)[task]['state'] != 'CANCELLED':
    for i in range(0 if (state / 'hold').exists() else CORES):
      file = (state / f'core-{i}').open('w')
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file
      except OSError:
        file.close()
    time.sleep(0.05)


if __name__ == '__main__':
  work(pathlib.Path(sys.argv[1]), sys.argv[2])
