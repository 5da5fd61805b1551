"""The chapters of a report: what a study has to say on each theme, in order."""

import inspect
import pathlib
import re
from collections.abc import Mapping

from rlhf_jax.analysis import claims_io, power, redrawing
from rlhf_jax.analysis.bars import bar
from rlhf_jax.analysis.claims.registry import Registry
from rlhf_jax.analysis.intervals import NOT_RUN
from rlhf_jax.analysis.readable import words

HEAD = 4096  # characters of an SVG that hold its metadata
# Over the first screen: the first of them that a study has.
HEADLINES = (
  'frontier_and_policies',
  'reward_vs_sqrt_kl',
  'real_accuracy_vs_pairs',
  'pm_accuracy_vs_pairs',
)


def chapters(document: Mapping, files: Mapping, tables, registry, workdir):
  """The themes that have something to show, each a dict.

  Args:
    document: with claims, of `claims_io.read_claims`.
    files: name of a figure -> its file; those that were drawn.
    tables: name -> frame.
    registry: of the themes.
    workdir: of the study or run.

  Returns:
    [{name, title, opening, claims, figures, tables}], figures being those of
    `figure`, tables the names of those that are shown as they are. What belongs
    to no theme of the registry comes last.
  """
  rows = {row['id']: row for row in document['claims']}
  left, found = dict(files), []
  for name, theme in registry.themes.items():
    own = [rows.pop(spec.id) for spec in theme.claims if spec.id in rows]
    drawn = [d for d in theme.drawings if left.pop(d.__name__, None)]
    shown = [t.name for t in theme.tables if t.heading and t.name in tables]
    found.append(
      {
        'name': name,
        'title': theme.title,
        'opening': theme.opening,
        'claims': [claim(row, files) for row in own if ran(row)],
        'figures': [figure(d, files, tables, registry, workdir) for d in drawn],
        'tables': shown,
      }
    )
  rest = [claim(row, files) for row in rows.values() if ran(row)]
  plain = [_undescribed(name, files, workdir) for name in left]
  more = {'name': 'more', 'title': 'More', 'claims': rest, 'figures': plain}
  found.append(more | {'opening': '', 'tables': []})
  return [chapter for chapter in found if _has_content(chapter)]


def ran(row) -> bool:
  """Whether something measured a claim."""
  return row['verdict'] != NOT_RUN


def claim(row: Mapping, images: Mapping) -> dict:
  """A row of claims.json with what the page shows of it besides.

  figure: its name, if it was drawn; power: a sentence; deciding, the contrast
  that decides, with `words` and `bar`; numbers: all that was measured, each
  with words, value and the bar of its bound.
  """
  name = pathlib.PurePosixPath(row.get('figure') or '').stem
  bounds = {c['name']: c for c in row.get('contrasts') or []}
  names = dict.fromkeys([*bounds, *row['measured']])
  deciding = dict(claims_io.deciding(row))
  if not deciding and row['measured']:
    first, value = next(iter(row['measured'].items()))
    deciding = {'name': first, 'mean': value, 'ci': row.get('ci')}
    bounds = {first: deciding}
  deciding['words'] = words(deciding.get('name', ''))
  deciding['bar'] = bar(deciding)
  return {
    **row,
    'figure': name if name in images else None,
    'power': power.sentence(row) if 'id' in row else '',
    'deciding': deciding,
    'numbers': [
      {
        'name': key,
        'words': words(key),
        'value': row['measured'].get(key, bounds.get(key, {}).get('mean')),
        'ci': bounds.get(key, {}).get('ci'),
        'bound': claims_io.bound_text(bounds.get(key, {})),
        'bar': bar(bounds.get(key, {})),
      }
      for key in names
    ],
  }


def figure(draw, files, tables, registry: Registry, workdir) -> dict:
  """A figure with its caption, its claims, and the tables behind it.

  The caption is the docstring of what draws it. A table is named with its rows
  and seeds and, if the file lies in the study, a link from the page. Last comes
  the command that draws the figure again.
  """
  name = draw.__name__
  judged = [spec for spec in registry.claims if spec.figure == name]
  title, _, text = inspect.getdoc(draw).partition('\n\n')
  return _undescribed(name, files, workdir) | {
    'title': ' '.join(title.split()),
    'text': ' '.join(text.split()),
    'claims': [spec.id for spec in judged],
    'tables': [
      {
        'name': table,
        'rows': len(tables[table]),
        'seeds': _seeds_of(tables[table]),
        'link': link(table, registry, workdir),
      }
      for table in behind(name, files[name], registry)
      if table in tables
    ],
  }


def _seeds_of(frame):
  """Number of seeds of a table; 0 of one whose rows are over seeds."""
  return frame['seed'].nunique() if 'seed' in frame else 0


def behind(name, file, registry: Registry) -> list[str]:
  """The tables behind a figure: those its file names, else its claims'."""
  judged = [spec for spec in registry.claims if spec.figure == name]
  of_claims = (table for spec in judged for table in spec.tables)
  return sources(file) or list(dict.fromkeys(of_claims))


def sources(file) -> list[str]:
  """The tables behind a figure, as its SVG names them; [] if it names none."""
  file = pathlib.Path(file)
  if file.suffix != '.svg':
    return []
  with file.open(encoding='utf-8') as stream:
    head = stream.read(HEAD)
  found = re.search('<dc:source>([^<]*)</dc:source>', head)
  return found[1].split(', ') if found else []


def _undescribed(name, files, workdir):
  """A figure of which no theme says anything: its name, files and command."""
  file = pathlib.Path(files[name])
  found = [file, file.with_suffix('.png')]
  return {
    'name': name,
    'title': name.replace('_', ' ').capitalize() + '.',
    'text': '',
    'claims': [],
    'tables': [],
    'formats': [x.name for x in dict.fromkeys(found) if x.exists()],
    'command': redrawing.command(workdir, name),
  }


def link(table, registry: Registry, workdir) -> str | None:
  """Where the file of a table lies, seen from the page; None if nowhere."""
  file = table_file(table, registry, workdir)
  return f'../{file.relative_to(workdir).as_posix()}' if file else None


def table_file(table, registry: Registry, workdir) -> pathlib.Path | None:
  """The file of a table in the folder of a study or run; None if it lacks."""
  known = registry.tables.get(table)
  name = table + ('.csv.gz' if known and known.compressed else '.csv')
  folders = pathlib.Path(workdir) / 'tables', pathlib.Path(workdir)
  files = (folder / name for folder in folders)
  return next((file for file in files if file.exists()), None)


def headline(found):
  """The figure of the first screen, and the chapters without it.

  It is the first there is of `HEADLINES`, else of those that show a claim, else
  any; None: there is no figure. A chapter that held nothing else is left out.
  """
  figures = {f['name']: f for chapter in found for f in chapter['figures']}
  judged = [name for name, one in figures.items() if one['claims']]
  order = [*HEADLINES, *judged, *figures]
  first = next((name for name in order if name in figures), None)
  rest = [
    chapter | {'figures': [f for f in chapter['figures'] if f['name'] != first]}
    for chapter in found
  ]
  return figures.get(first), [c for c in rest if _has_content(c)]


def _has_content(chapter):
  return any(chapter[key] for key in ('claims', 'figures', 'tables'))
