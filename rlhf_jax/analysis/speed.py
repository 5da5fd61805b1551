"""Time, rates, memory and signs of ill health of runs, for their page.

A run has speed.jsonl, a row wherever its metrics were read
(`train.speed.Clock` writes it), and rows of the kind 'health' in metrics.jsonl.
"""

import json
import pathlib
import statistics
from collections.abc import Mapping

from rlhf_jax.analysis import runs

NAME, HEALTH = 'speed.jsonl', 'health'
MARK = b'"kind": "health"'  # in a line of metrics.jsonl
PHASES = ('compile', 'measure', 'save', 'log')
COLUMNS = {
  'stage': 'the script',
  'size': 'of its model',
  'runs': 'how many are behind the row; the numbers are their medians',
  'updates': 'updates of the parameters',
  'seconds': 'of the loop, sessions that were killed included',
  'update_s': 'seconds of an update, the first stretch of a session left out',
  'updating': 'share of the seconds in which updates ran',
  **{
    f'{phase}': f'share of the seconds: {words}'
    for phase, words in zip(
      PHASES,
      ('compiling', 'evaluating', 'writing checkpoints', 'logging'),
      strict=True,
    )
  },
  'data': 'share of the seconds in which the host made batches, as it updated',
  'tokens_per_s': 'tokens a second: read, or of PPO sampled',
  'mfu': 'model FLOPs over the peak of the devices (of a CPU: its own product)',
  'host_gb': 'most memory of the process, GB',
  'device_gb': 'most memory of a device, GB, where it says',
}


def read_speed(path) -> list[dict]:
  """Rows of a run's speed.jsonl; [] if it has none.

  A last line without its end is still being written and is left out.

  Raises:
    ValueError: if a whole line is no row; names file and line.
  """
  file, rows = pathlib.Path(path) / NAME, []
  if not file.is_file():
    return rows
  for number, line in enumerate(file.read_bytes().split(b'\n')[:-1], start=1):
    try:
      row = json.loads(line)
    except ValueError:
      row = None
    if not isinstance(row, dict) or 'update_s' not in row:
      raise ValueError(f'{file}:{number}: no row of speeds: delete the file')
    rows.append(row)
  return rows


def summary(rows) -> dict:
  """Numbers of one run: COLUMNS without stage, size and runs.

  Rates are medians over stretches of updates; the first of each session, in
  which programs are traced, counts only where there is no other.

  Args:
    rows: of `read_speed`, one or more.
  """
  firsts = {row['session']: i for i, row in reversed([*enumerate(rows)])}
  later = [row for i, row in enumerate(rows) if i not in firsts.values()]
  middle = lambda name: _median([row[name] for row in later or rows])
  seconds = sum(row['seconds'] for row in rows)
  share = lambda name: sum(row[f'{name}_s'] for row in rows) / seconds
  shares = {phase: share(phase) for phase in PHASES}
  most = lambda name: max((row[name] or 0 for row in rows), default=0)
  return {
    'updates': max(row['step'] for row in rows),
    'seconds': seconds,
    'update_s': middle('update_s'),
    'updating': 1 - sum(shares.values()),
    **shares,
    'data': share('data'),
    'tokens_per_s': middle('tokens_per_s'),
    'mfu': middle('mfu'),
    'host_gb': most('host_bytes') / 1e9,
    'device_gb': most('device_bytes') / 1e9 or None,
  }


def _median(values):
  found = [x for x in values if x is not None]
  return statistics.median(found) if found else None


def table(workdir) -> list[dict]:
  """A row of COLUMNS for each stage and size of the runs under a folder."""
  groups = {}
  for path in runs.find_runs(workdir):
    rows = read_speed(path)
    if rows:
      config = runs.read_run(path)['config']
      size = (config.get('row') or {}).get('size', '')
      own = groups.setdefault((config.get('stage', ''), str(size)), [])
      own.append(summary(rows))
  return [
    {'stage': stage, 'size': size, 'runs': len(own)}
    | {name: _median([x[name] for x in own]) for name in own[0]}
    for (stage, size), own in sorted(groups.items())
  ]


def signs(workdir) -> list[dict]:
  """Signs of health of the runs under a folder: run, step, name, message."""
  workdir, found = pathlib.Path(workdir), []
  for path in runs.find_runs(workdir):
    file = path / 'metrics.jsonl'
    if not file.is_file() or MARK not in file.read_bytes():
      continue
    inside = path.relative_to(workdir).as_posix()
    run = path.resolve().name if inside == '.' else inside
    metrics = runs.read_metrics(path)
    for row in metrics[metrics['kind'] == HEALTH].to_dict('records'):
      found.append(_sign(run, row))
  return found


def _sign(run, row: Mapping) -> dict:
  return {'run': run} | {k: row[k] for k in ('step', 'name', 'message')}
