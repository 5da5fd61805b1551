"""The report of a study, or of one run: one self-contained HTML page.

Everything is inlined (style, figures as data URIs), so the page works without
a network; everything a model wrote is escaped.
"""

import pathlib
from collections import Counter
from collections.abc import Mapping

import pandas as pd

from rlhf_jax.analysis import (
  chapters,
  claims_io,
  intervals,
  kl_reward,
  page,
  redrawing,
  replies,
  runs,
  speed,
)
from rlhf_jax.analysis.cells import cell, duration, many
from rlhf_jax.analysis.claims.registry import Registry, load
from rlhf_jax.analysis.notes import NOTES

VERDICTS = (
  intervals.PASS,
  intervals.FAIL,
  intervals.INCONCLUSIVE,
  intervals.NOT_RUN,
)
GAINS = 'Gain over pi_0 and KL, on held-out prompts'


def write_report(
  workdir, claims, tables, figures, extras, registry: Registry | None = None
) -> pathlib.Path:
  """Writes DIR/report/index.html.

  Args:
    workdir: DIR.
    claims: the document of `claims_io.read_claims`: claims and, if there are
      any, checks, which are rows of the same shape with a name for a title.
    tables: name -> frame, from `runs.read_tables`; any may be missing.
    figures: name -> path or None, from `figures.draw_all`.
    extras: all keys optional. readings: theme -> what a person reads in its
      figures and claims, which stands at the head of its chapter. samples:
      items of `replies`, of one run or of several. env: name -> value. stages:
      dicts of name, seconds. speed and signs: of `speed.table` and
      `speed.signs`.
    registry: whose tables are shown beside the claims; None: that of the house.

  Returns:
    The path of the page.
  """
  return _write(
    workdir,
    tables,
    figures,
    extras,
    registry or load(),
    title=f'rlhf_jax: the study {claims.get("preset")}',
    lead=lead(claims, run_list(tables)),
    summary=summary(claims, run_list(tables)),
    document=claims,
  )


def write_run_report(
  path,
  run,
  tables,
  figures,
  samples=(),
  pairs=(),
  registry: Registry | None = None,
) -> pathlib.Path:
  """Writes PATH/report/index.html of one run: its tables and figures, no claim.

  Args:
    path: run directory.
    run: of `runs.read_run`.
    tables: name -> frame, from `runs.run_tables`.
    figures: name -> path or None, from `figures.draw_all`.
    samples: as in the extras of `write_report`.
    pairs: dicts of prompt, chosen, rejected and scores (name -> number).
    registry: as there.

  Returns:
    The path of the page.
  """
  path = pathlib.Path(path)
  name, row, env = path.resolve().name, run['config']['row'], run['env']
  more = []
  if {'rl_curve', 'rl_pi0'} <= tables.keys():
    gains = kl_reward.gains(tables['rl_curve'], tables['rl_pi0'])
    more.append(_shown(GAINS, gains))
  settings = ', '.join(f'{k} {cell(v)}' for k, v in row.items())
  lines = [
    f'{settings}.',
    f'{env.get("device")}, commit {env.get("commit")}.',
    'One run: nothing is judged here. A verdict needs several seeds, as '
    'experiments.reproduce runs them.',
  ]
  seconds = run['done'].get('seconds')
  extras = {'samples': list(samples), 'pairs': list(pairs), 'env': env}
  extras['stages'] = [{'name': f'{name}, last session', 'seconds': seconds}]
  extras |= {'speed': speed.table(path), 'signs': speed.signs(path)}
  head = {'title': f'rlhf_jax: the run {name}', 'lead': [], 'summary': lines}
  house = registry or load()
  return _write(path, tables, figures, extras, house, more=more, **head)


def _write(
  workdir, tables, figures, extras, registry, *, document=None, more=(), **head
):
  """Renders the page.

  Args:
    workdir: of the study or run.
    tables: name -> frame.
    figures: name -> path or None.
    extras: as in `write_report`.
    registry: of the themes.
    document: of claims.json; None: nothing is judged.
    more: tables to show after the chapters.
    **head: title, lead and summary.
  """
  path = pathlib.Path(workdir) / 'report' / 'index.html'
  path.parent.mkdir(parents=True, exist_ok=True)
  document = document or {'claims': []}
  files = {name: file for name, file in figures.items() if file}
  found = chapters.chapters(document, files, tables, registry, workdir)
  readings = extras.get('readings', {})
  for chapter in found:
    chapter['beside'] = beside(tables, registry, chapter['tables'])
    chapter['reading'] = readings.get(chapter['name'], '')
  headline, found = chapters.headline(found)
  shown = {c['id']: c for chapter in found for c in chapter['claims']}
  rows = document['claims']
  html = page.render(
    'report.html.j2',
    **head,
    headline=headline,
    chapters=found,
    more=more,
    judged=[shown[row['id']] for row in rows if row['id'] in shown],
    waiting=[row for row in rows if row['id'] not in shown],
    checks=[chapters.claim(row, {}) for row in document.get('checks', [])],
    legend=claims_io.LEGEND,
    images={name: page.data_uri(file) for name, file in files.items()},
    samples=replies.browser(extras.get('samples', [])),
    pairs=extras.get('pairs', []),
    ledger=compile_ledger(tables),
    stages=extras.get('stages', []),
    speed=extras.get('speed', []),
    speed_columns=speed.COLUMNS,
    signs=extras.get('signs', []),
    runs=run_list(tables),
    env=extras.get('env', {}),
    redraw=redrawing.command(workdir),
  )
  path.write_text(html, encoding='utf-8')
  return path


def seeds_of(run_rows: list[dict]) -> list:
  """Seeds that a study repeats, in order.

  Language models, which all seeds share, have one of their own: it counts where
  there is nothing else.
  """
  own = [row for row in run_rows if row.get('role') != 'lm'] or run_rows
  return sorted({row['seed'] for row in own if row['seed'] is not None})


def summary(claims: Mapping, run_rows: list[dict]) -> list[str]:
  """What ran, the count of verdicts, what failed, what is open: a line each.

  A note on the preset, where there is one, comes first; the last line names
  the planned runs that are lacking, if there are any.
  """
  rows = claims['claims']
  count = Counter(row['verdict'] for row in rows)
  counted = ', '.join(f'{count[verdict]} {verdict}' for verdict in VERDICTS)
  seeds = seeds_of(run_rows)
  evidence = Counter(
    row.get('evidence', 'simulated')
    for row in rows
    if row['verdict'] != intervals.NOT_RUN
  )
  kinds = ', '.join(f'{n} on {kind}' for kind, n in evidence.items())
  note = NOTES.get(claims.get('preset'))
  return [
    *([note] if note else []),
    f'Preset {claims.get("preset")} on {claims.get("device")}, commit '
    f'{claims.get("commit")}, {duration(claims.get("seconds"))}.',
    f'Of {len(rows)} claims: {counted}.',
    f'Failed: {_ids(rows, intervals.FAIL)}.',
    f'Inconclusive: {_ids(rows, intervals.INCONCLUSIVE)}.',
    f'Behind the numbers: {len(run_rows)} finished runs, seeds '
    f'{", ".join(map(cell, seeds)) or "none"}; evidence: {kinds or "none"}.',
    *_lacking(claims.get('failures', ())),
  ]


def lead(claims: Mapping, run_rows: list[dict]) -> list[str]:
  """What ran and what came out, a sentence each, for the first screen."""
  count = Counter(row['verdict'] for row in claims['claims'])
  judged = sum(count.values()) - count[intervals.NOT_RUN]
  seeds = seeds_of(run_rows)
  counted = ', '.join(f'{count[v]} {v}' for v in VERDICTS[:-1])
  note = NOTES.get(claims.get('preset'))
  return [
    *([note] if note else []),
    f'{many(len(run_rows), "finished run")} of '
    f'{many(len(seeds), "seed")}, in '
    f'{duration(claims.get("seconds"))} on {claims.get("device")}. '
    f'{many(judged, "claim")} {"was" if judged == 1 else "were"} judged: '
    f'{counted}.',
  ]


def _lacking(failures):
  if not failures:
    return []
  named = '; '.join(f'{f["run"]} ({f["reason"]})' for f in failures)
  return [f'{len(failures)} planned runs are lacking: {named}.']


def beside(tables, registry: Registry, names) -> list[dict]:
  """Tables shown as they are: title, columns, rows."""
  found = [registry.tables[name] for name in names]
  return [
    _shown(table.heading, _rows_of(tables, table), table.columns)
    for table in found
  ]


def _rows_of(tables, table):
  """The rows of a table to show, those of several runs once if so wanted."""
  frame = tables[table.name]
  return frame[list(table.columns)].drop_duplicates() if table.once else frame


def _shown(title, frame, meanings=None):
  """A table without most of its run columns, and what its columns mean."""
  columns = [c for c in frame if c not in set(runs.RUN_COLUMNS) - {'role'}]
  return {
    'title': title,
    'intervals': any(c == 'low' or c.endswith('_low') for c in columns),
    'columns': {column: (meanings or {}).get(column) for column in columns},
    'rows': _records(frame[columns]),
  }


def _ids(rows, verdict):
  found = [str(row['id']) for row in rows if row['verdict'] == verdict]
  return ', '.join(found) or 'none'


def run_list(tables) -> list[dict]:
  """The runs behind the tables, one row each.

  Rows that belong to no run (the compile ledger of the workers) are left out.
  """
  columns = list(runs.RUN_COLUMNS)
  found = [f[columns] for f in tables.values() if set(columns) <= set(f)]
  if not found:
    return []
  frame = pd.concat(found).dropna(subset='run_id')
  return _records(frame.drop_duplicates('run_id').sort_values('run_id'))


def compile_ledger(tables) -> list[dict]:
  """Programs: how often and how long each was compiled, longest first.

  `shapes` says, for each worker that compiled one again, which differed.
  """
  if 'programs' not in tables:
    return []
  frame = tables['programs']
  if 'shapes' not in frame:  # a study of before
    frame = frame.assign(shapes='')
  by_program = frame.fillna({'shapes': ''}).groupby('program', as_index=False)
  join = lambda shapes: '; '.join(dict.fromkeys(filter(None, shapes)))
  total = by_program.agg({'count': 'sum', 'seconds': 'sum', 'shapes': join})
  return _records(total.sort_values('seconds', ascending=False))


def _records(frame):
  """Rows as dicts of plain values, missing ones None."""
  return frame.astype(object).where(frame.notna(), None).to_dict('records')
