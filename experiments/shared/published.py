"""The note and the page of a study whose results are committed."""

import json
from pathlib import Path

from experiments.shared import run_report
from experiments.shared.markdown import MARKERS, between_markers, markdown
from rlhf_jax import digests
from rlhf_jax.analysis import claims_io, figures, report, runs
from rlhf_jax.analysis.claims import registry

DIFFERENCES = 'before_after'  # name of the place in a README
NOTE = """# {preset}

One run of `{command}` at commit `{commit}` on {device}, {minutes:.1f} minutes
of wall time. `claims.json` holds the verdicts, `tables/` every number behind
the figures (docs/tables.md); `make figures` redraws `figures/` from them.

{begin}
{end}
"""


def write_note(out):
  """README.md of a published study, from its claims, which are returned."""
  document = claims_io.read_claims(out / 'claims.json')
  preset = document['preset']
  command = 'make reproduce' + (
    '' if preset == 'micro' else f' PRESET={preset}'
  )
  note = NOTE.format(
    preset=preset,
    command=command,
    commit=document['commit'],
    device=document['device'],
    minutes=document['seconds'] / 60,
    begin=claims_io.MARK_BEGIN,
    end=claims_io.MARK_END,
  )
  (out / 'README.md').write_text(note)
  table = claims_io.to_markdown_table(document)
  claims_io.rewrite_readme(out / 'README.md', table)
  return document


def without_places(settings):
  """Settings of a study without where its machine keeps things.

  A text that is an absolute path becomes the last of its names.
  """
  if isinstance(settings, dict):
    return {name: without_places(one) for name, one in settings.items()}
  if isinstance(settings, list):
    return [without_places(one) for one in settings]
  absolute = isinstance(settings, str) and Path(settings).is_absolute()
  return Path(settings).name if absolute else settings


def is_simulated(settings):
  """Whether prompts of a study are its world's own, by its config.json.

  Those that people wrote are data, which is not committed.
  """
  data = settings.get('config', {}).get('data', {})
  return data.get('source', 'simulated') == 'simulated'


def is_of_evals(workdir) -> bool:
  """Whether a folder is the workdir of `experiments.evals`."""
  file = Path(workdir) / 'config.json'
  if not file.exists():
    return False
  return digests.read_json(file, dict).get('stage') == 'evals'


def write_differences(workdir, out):
  """Writes what models changed into OUT/README.md, between its markers.

  Args:
    workdir: of `experiments.evals`, with tables.
    out: folder of the README.md, which is made where there is none.
  """
  file = Path(out) / 'README.md'
  start = '\n'.join(marker.format(DIFFERENCES) for marker in MARKERS)
  page = file.read_text() if file.exists() else f'# Evaluations\n\n{start}\n'
  found = [runs.read_run(path) for path in runs.find_runs(workdir)]
  named = lambda name: sorted({str(run['env'].get(name)) for run in found})
  rows = runs.read_tables(Path(workdir) / 'tables')['before_after']
  rows = rows[rows['headline']]
  said = (
    f'`python -m experiments.evals` at commit {", ".join(named("commit"))} on '
    f'{", ".join(named("device"))}: differences from '
    f'`{rows["before_model"].iloc[0]}` on the same questions, in the metric '
    'that stands for each task, with paired standard errors.\n\n'
  )
  header = ['model', 'task', 'n', 'before', 'after', 'difference']
  lines = [
    [
      row['after_model'],
      row['name'],
      f'{row["n"]:,}',
      f'{row["before"]:.3f}',
      f'{row["after"]:.3f}',
      f'{row["difference"]:+.3f} +- {row["stderr"]:.3f}',
    ]
    for row in rows.to_dict('records')
  ]
  table = markdown(header, lines)
  file.write_text(between_markers(page, DIFFERENCES, f'\n{said}{table}\n'))


def keep_samples(items, out):
  """Writes samples.json of a published study, or takes an old one away.

  Args:
    items: of `replies`, those that its page shows.
    out: folder of the study.
  """
  file = Path(out) / 'samples.json'
  file.unlink(missing_ok=True)
  if items:
    file.write_text(json.dumps(items, separators=(',', ':')) + '\n')


def write_page(folder) -> Path:
  """Writes FOLDER/report/index.html of a published study; its path.

  Args:
    folder: of `experiments.publish`: claims.json, tables/, figures/,
      samples.json if its policies' replies were kept, and readings.json if
      somebody has written what its chapters say, {theme: sentences}.

  Raises:
    FileNotFoundError, ValueError: if one is missing or damaged.
  """
  folder = Path(folder)
  file = folder / 'readings.json'
  readings = digests.read_json(file, dict) if file.exists() else {}
  unknown = sorted(set(readings) - set(registry.THEMES))
  if unknown:
    raise ValueError(
      f'{file}: wanted names of themes, {", ".join(registry.THEMES)}; got '
      f'{", ".join(unknown)}'
    )
  document = claims_io.read_claims(folder / 'claims.json')
  tables = runs.read_tables(folder / 'tables')
  files = {name: folder / f'figures/{name}.svg' for name in figures.FIGURES}
  drawn = {name: file for name, file in files.items() if file.exists()}
  extras = {
    'readings': readings,
    'samples': run_report.read_samples(folder),
    'env': {key: document.get(key) for key in ('commit', 'device')},
  }
  return report.write_report(folder, document, tables, drawn, extras)
