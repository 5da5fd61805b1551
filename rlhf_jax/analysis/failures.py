"""Runs that a study planned and lacks, because their numbers were not finite.

Which of them finish depends on what they measure, so that claims without them
are claims on a selection: none of those is more than inconclusive.
"""

import pathlib
from collections.abc import Mapping, Sequence

import pandas as pd

from rlhf_jax import digests
from rlhf_jax.analysis import intervals
from rlhf_jax.analysis.findings import NotRunError

FAILED, LIST = 'failed.json', 'jobs.json'
# Tables of a stage's runs; of others it could be any.
TABLES = {
  'train_lm': ('lm',),
  'train_pm': ('pm_curve', 'pm_pairs', 'floors'),
  'train_ppo': ('rl_curve', 'rl_subsets', 'rl_pi0'),
  'train_dpo': ('rl_curve', 'rl_subsets', 'rl_pi0'),
  'frontier': ('frontier', 'best_of_n'),
  'score_replies': ('scored', 'best_of_n'),
}


def find_failures(workdir) -> list[dict]:
  """The runs of a study that stopped, and those that need one that did.

  Args:
    workdir: of a study; its jobs.json says what was planned.

  Returns:
    [{'run', 'role', 'stage', 'reason'}], by run.

  Raises:
    ValueError: if a file is damaged.
  """
  workdir, found = pathlib.Path(workdir), {}
  for file in sorted(workdir.rglob(FAILED)):
    run = file.parent
    if (run / digests.DONE).exists() or not (run / 'config.json').is_file():
      continue
    name = run.relative_to(workdir).as_posix()
    config = digests.read_json(run / 'config.json', dict)
    found[name] = {
      'run': name,
      'role': (config.get('row') or {}).get('role', ''),
      'stage': config.get('stage', ''),
      'reason': str(digests.read_json(file, dict).get('message', '')),
    }
  for job in _planned(workdir) if found else []:
    lost = next((need for need in job['needs'] if need in found), None)
    done = (workdir / job['name'] / digests.DONE).exists()
    if lost and not done and job['name'] not in found:
      found[job['name']] = {
        'run': job['name'],
        'role': job['config'].get('role') or '',
        'stage': job['module'].rpartition('.')[2],
        'reason': f'it needs {lost}',
      }
  return [found[name] for name in sorted(found)]


def _planned(workdir):
  """Jobs of a study's list, each after what it needs."""
  file = workdir / LIST
  jobs = digests.read_json(file, list) if file.exists() else []
  rows, ordered = {job['name']: job for job in jobs}, {}

  def add(name):
    if name in rows and name not in ordered:
      for need in rows[name]['needs']:
        add(need)
      ordered[name] = rows[name]

  for name in rows:
    add(name)
  return ordered.values()


def weighed(row, spec, tables, failures) -> dict:
  """A claim's row, at most inconclusive where it lacks a planned run.

  Args:
    row: of `judging.judge`.
    spec: ClaimSpec.
    tables: name -> frame.
    failures: of `find_failures`.
  """
  lost = [f for f in failures if lacks(spec, tables, f)]
  if not lost:
    return row
  first = lost[0]
  more = f' and {len(lost) - 1} more' if len(lost) > 1 else ''
  note = f'planned and lacking: {first["run"]} ({first["reason"]}){more}'
  note = '; '.join(filter(None, [note, row['note']]))
  ran = row['verdict'] != intervals.NOT_RUN
  verdict = intervals.INCONCLUSIVE if ran else intervals.NOT_RUN
  return row | {'verdict': verdict, 'note': note}


def lacks(spec, tables: Mapping[str, pd.DataFrame], failure) -> bool:
  """Whether a claim would have read what a run would have written.

  It would, if its finding is another one without the finished runs of that
  role; where there are none, if it reads a table of that stage.
  """
  if spec.evaluator is None:
    return False
  role, changed, seen = failure['role'], dict(tables), False
  for name, frame in tables.items():
    if role and 'role' in frame and (frame['role'] == role).any():
      changed[name], seen = frame[frame['role'] != role], True
  if not seen:
    wrote = TABLES.get(failure['stage'], tuple(spec.tables))
    return bool(set(wrote) & set(spec.tables))
  return _outcome(spec, tables) != _outcome(spec, changed)


def _outcome(spec, tables) -> str:
  """A finding as text, which is equal where all numbers are; or why none."""
  try:
    return repr(spec.evaluator(tables))
  except NotRunError as error:
    return f'not run: {error}'
  except Exception as error:  # noqa: BLE001 (tables that are no study's)
    return f'none: {error!r}'


def counts(failures: Sequence[Mapping]) -> dict[str, int]:
  """Runs that stopped or could not start, by role."""
  roles = [failure['role'] or failure['stage'] for failure in failures]
  return {role: roles.count(role) for role in sorted(set(roles))}
