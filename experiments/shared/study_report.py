"""The report of a whole study, from its run directories."""

from pathlib import Path

import pandas as pd

from experiments.shared.run_report import read_samples
from rlhf_jax.analysis import (
  claims_io,
  failures,
  figures,
  report,
  runs,
  speed,
)
from rlhf_jax.analysis.claims import judging


def context_of(workdir, seconds):
  """What claims.json says of the study besides its claims."""
  study = runs.read_run(workdir)
  config, env = study['config']['config'], study['env']
  for name, lacking in (
    ('config.json', {'preset', 'data', 'claims'} - config.keys()),
    ('env.json', {'commit', 'device', 'cores'} - env.keys()),
  ):
    if lacking:
      raise ValueError(
        f'{Path(workdir) / name} lacks {", ".join(sorted(lacking))}: wanted '
        'the folder of a study that experiments.reproduce has run'
      )
  return {
    'preset': config['preset'],
    'commit': env['commit'],
    'device': f'{env["device"]}, {env["cores"]} cores',
    'seconds': seconds,
    'config_hash': study['config']['row']['config_hash'],
    'evidence': 'simulated'
    if config['data']['source'] == 'simulated'
    else 'real',
    'rl_requires': config['claims']['rl_requires_test_pm'],
    'failures': failures.find_failures(workdir),
  }


def samples_of(workdir):
  """Replies of the policies of the first seed that has any.

  Those of the role `linear` come first, small ones before large ones. Of a run
  of before, whose replies are not named, the first four different prompts are
  taken, under its name.
  """
  found = []
  for file in Path(workdir).glob('rl/*/samples.json'):
    if (file.parent / 'done.json').exists():
      row = runs.read_run(file.parent)['config']['row']
      order = row['role'] != 'linear', row['role'], row['n_params']
      found.append((row['seed'], *order, file.parent))
  first = min((row[0] for row in found), default=None)
  return [
    item
    for seed, *_, path in sorted(found)
    if seed == first
    for item in _named(read_samples(path), path.name)
  ]


def _named(items, name):
  """Items of a run, those of before under its name."""
  if any('replies' in item for item in items):
    return items
  different = {item['prompt']: item | {'run': name} for item in items[::-1]}
  return list(different.values())[::-1][:4]


def write(workdir, seconds, programs=(), stages=()):
  """Writes tables, claims.json, figures and the report; returns the document.

  Args:
    workdir: directory of a study whose jobs are done.
    seconds: wall time of the study.
    programs: compile ledger, dicts of program, seconds, count, shapes, worker.
    stages: dicts of name, seconds.
  """
  workdir = Path(workdir)
  tables = runs.collect(workdir)
  if programs:
    frame = pd.DataFrame(programs)
    for position, column in enumerate(runs.RUN_COLUMNS):
      frame.insert(position, column, '')
    tables['programs'] = frame
  runs.write_tables(tables, workdir / 'tables')
  tables = runs.read_tables(workdir / 'tables')
  context = context_of(workdir, seconds)
  drawn = figures.draw_all(tables, workdir / 'figures')
  document = judging.claims_document(tables, context)
  (workdir / 'report').mkdir(exist_ok=True)
  claims_io.write_claims(workdir / 'report' / 'claims.json', document)
  document = claims_io.read_claims(workdir / 'report' / 'claims.json')
  extras = {
    'samples': samples_of(workdir),
    'stages': list(stages),
    'speed': speed.table(workdir),
    'signs': speed.signs(workdir),
    'env': runs.read_run(workdir)['env'],
  }
  report.write_report(workdir, document, tables, drawn, extras)
  return document


def print_claims(document, file=None):
  """The claims that were judged, a line each, and the counts."""
  judged = [c for c in document['claims'] if c['verdict'] != 'not run']
  for claim in judged:
    interval = ''
    if claim['ci']:
      interval = '[{:.3g}, {:.3g}]'.format(*claim['ci'])
    print(
      f'{claim["id"]:>3}  {claim["verdict"]:<12} {claim["title"]}  {interval}',
      file=file,
    )
  counts = {
    v: sum(c['verdict'] == v for c in judged)
    for v in ('pass', 'fail', 'inconclusive')
  }
  rest = len(document['claims']) - len(judged)
  print(
    ', '.join(f'{n} {v}' for v, n in counts.items()) + f', {rest} not run',
    file=file,
  )
