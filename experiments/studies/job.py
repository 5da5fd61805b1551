"""What a study is planned in: jobs, and their list in ROOT/jobs.json.

The list is plain JSON, from which anyone can run any of the jobs. Paths inside
the study are written relative to it ('study:lm/13K'), so that a study that is
moved goes on in its new place.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import NamedTuple

from rlhf_jax import digests
from rlhf_jax.digests import write_json
from rlhf_jax.train import about

FAILED = 'failed.json'
LIST = 'jobs.json'


class Resources(NamedTuple):
  """What a job asks of a machine; 0: whatever there is.

  Attributes:
    gpus: of one node.
    gpu_bytes: an estimate, of each GPU.
    cpus: cores of a process.
    host_bytes: memory of the host.
    hours: an estimate.
    nodes: that run it as one job.
    processes: of each node, that run it as one job.
  """

  gpus: int = 0
  gpu_bytes: float = 0.0
  cpus: int = 0
  host_bytes: float = 0.0
  hours: float = 0.0
  nodes: int = 0
  processes: int = 0


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of one stage.

  Attributes:
    name: its directory below the study's root.
    module: the stage's module, whose `run(config, workdir)` does the work.
    config: plain dict; paths are absolute.
    needs: the Jobs whose outputs it reads.
    program: jobs with one key share compiled programs, so one worker gets them.
    weight: rough cost, longest first.
    resources: for launchers that ask for them.
    label: what of it people want to read beside its name; '' nothing.
  """

  name: str
  module: str
  config: dict
  needs: tuple['Job', ...] = ()
  program: str = ''
  weight: float = 1.0
  resources: Resources = Resources()
  label: str = ''

  @property
  def shown(self) -> str:
    """Name and label, in a line that people read."""
    return f'{self.name} ({self.label})' if self.label else self.name


def with_needs(jobs) -> list[Job]:
  """The jobs and everything they need, each once and after what it needs.

  Raises:
    ValueError: if two different jobs have one name.
  """
  found = {}

  def add(job):
    if job.name not in found:
      for need in job.needs:
        add(need)
      found[job.name] = job
    elif found[job.name] != job:
      raise ValueError(
        f'two different jobs are called {job.name}: they differ in '
        f'{", ".join(_differing(found[job.name], job))}'
      )

  for job in jobs:
    add(job)
  return list(found.values())


def with_resources(jobs, resources) -> list[Job]:
  """The jobs; those that ask for nothing, and what they need, ask for these.

  Args:
    jobs: [Job], each after what it needs.
    resources: Resources.
  """
  made = {}
  for job in jobs:
    asked = job.resources if any(job.resources) else resources
    needs = tuple(made[need.name] for need in job.needs)
    made[job.name] = dataclasses.replace(job, needs=needs, resources=asked)
  return list(made.values())


def _differing(one, other):
  """Names of the fields, or of the config's keys, in which two jobs differ."""
  for field in dataclasses.fields(Job):
    a, b = getattr(one, field.name), getattr(other, field.name)
    if field.name == 'config':
      yield from (key for key in a | b if a.get(key) != b.get(key))
    elif a != b:
      yield field.name


def filled(config, section, values, changes):
  """A section of the config as a stage is told it.

  Args:
    config: of the study.
    section: its name.
    values: of the keys that are None there.
    changes: of keys that are not.

  Raises:
    ValueError: if a key is missing, unknown, or set where it must not be.
  """
  found = config[section]
  for key in values:
    if found[key] is not None:
      raise ValueError(
        f'{section}.{key}={found[key]!r} has no effect: the themes, sizes and '
        'seeds of the study set it'
      )
  open_keys = {key for key, value in found.items() if value is None}
  wrong = (changes.keys() - found.keys()) | (open_keys - values.keys())
  if wrong:
    raise ValueError(f'{section}: unknown or not set: {sorted(wrong)}')
  return found | values | changes


def is_done(job, root) -> bool:
  """Whether a job has finished."""
  return (Path(root) / job.name / 'done.json').exists()


def has_stopped(job, root) -> bool:
  """Whether a job has met a number that is not finite, and ended there."""
  return (Path(root) / job.name / FAILED).exists() and not is_done(job, root)


def is_lost(job, root) -> bool:
  """Whether a job has stopped, or needs one that has; a study goes on."""
  if is_done(job, root):
    return False
  return has_stopped(job, root) or any(is_lost(n, root) for n in job.needs)


def why_stopped(job, root) -> str:
  """What a job that has stopped says, and how it runs again."""
  file = Path(root) / job.name / FAILED
  try:
    message = digests.read_json(file, dict).get('message', '')
  except digests.DamagedError as error:
    message = str(error)
  return f'{message} (delete {file} to run it again)'


def state_of(job, root) -> str:
  """'done', 'begun', 'failed', 'to do', or 'other': of another config."""
  path = Path(root) / job.name
  if not (path / 'config.json').exists():
    return 'done' if is_done(job, root) else 'to do'
  found, own = about.read(path).config, json.loads(json.dumps(job.config))
  if about.computing(found) != about.computing(own):
    return 'other'
  if has_stopped(job, root):
    return 'failed'
  return 'done' if is_done(job, root) else 'begun'


def cache_of(root) -> str:
  """Directory of the compilation cache: RLHF_JAX_CACHE, or the study's own."""
  return os.environ.get('RLHF_JAX_CACHE') or f'{root}/jax_cache'


def spans(numbers) -> str:
  """Numbers as SLURM and people write them: '0,3-5'."""
  runs = []
  for number in sorted(numbers):
    if runs and number == runs[-1][1] + 1:
      runs[-1][1] = number
    else:
      runs.append([number, number])
  return ','.join(f'{a}' if a == b else f'{a}-{b}' for a, b in runs)


def write_list(root, jobs) -> dict[str, int]:
  """Writes the list, or adds to the one that is there; {name: number}.

  A number, once given, stays, since it may be waiting in a queue: jobs that are
  there keep theirs, with the config of now, and new ones follow.

  Raises:
    ValueError: if two different jobs have one name.
  """
  root = Path(root)
  before = read_list(root) if (root / LIST).exists() else []
  listed = {job.name: job for job in before}
  listed |= {job.name: job for job in with_needs(jobs)}
  rows = [about.store(_row(job), root) for job in listed.values()]
  write_json(root / LIST, rows)
  return {name: number for number, name in enumerate(listed)}


def _row(job):
  return {
    'name': job.name,
    'module': job.module,
    'config': job.config,
    'needs': [need.name for need in job.needs],
    'program': job.program,
    'weight': job.weight,
    'resources': job.resources._asdict(),
    'label': job.label,
  }


def read_list(root) -> list[Job]:
  """The jobs of a study by number; paths are those of today.

  Raises:
    RunError: if the study has no such list, or a broken one.
  """
  file = Path(root) / LIST
  try:
    rows = digests.read_json(file, list)
    rows = {row['name']: row for row in about.resolve(rows, root)}
    made = {}
    return [_job(name, rows, made) for name in rows]
  except FileNotFoundError:
    raise about.RunError(
      f'{root} has no {LIST}: the script that plans the study writes it, with '
      '--on=list'
    ) from None
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise about.RunError(f'cannot read {file}: {error!r}') from None


def _job(name, rows, made):
  if name not in made:
    row = dict(rows[name])
    row['needs'] = tuple(_job(need, rows, made) for need in row['needs'])
    row['resources'] = Resources(**row['resources'])
    made[name] = Job(**row)
  return made[name]


def failures_text(failed) -> str:
  """One line of failed jobs: the first one's cause, and how many there are.

  Args:
    failed: {name: cause}; '' of a job that needs one that failed.
  """
  causes = [cause for cause in failed.values() if cause]
  more = f'; {len(causes) - 1} more failed' if len(causes) > 1 else ''
  waited = len(failed) - len(causes)
  also = f'; {waited} that need them did not run' if waited else ''
  return f'{causes[0]}{more}{also}'


def mark(root, stage, settings):
  """Makes a folder the root of a study, as `Run` does for one with a config.

  Args:
    root: the folder; made if absent.
    stage: the script that plans it.
    settings: plain dict of what all of its jobs share.

  Raises:
    RunError: if something else is there.
  """
  root = Path(root)
  if about.is_run(root):
    found = about.read(root)
    if (found.about.holds, found.config) != ('study', settings):
      raise about.RunError(
        f'{root} holds another {found.about.holds}: choose another --workdir'
      )
    return
  root.mkdir(parents=True, exist_ok=True)
  kind = about.About(stage, 'study')._asdict()
  write_json(root / 'config.json', kind | {'config': settings, 'row': {}})
