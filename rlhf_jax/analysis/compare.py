"""Several studies side by side: verdicts, changes seed by seed, and figures."""

import os
import pathlib
from collections import Counter
from typing import NamedTuple
from urllib.parse import quote

from rlhf_jax.analysis import (
  chapters,
  claims_io,
  intervals,
  page,
  paired,
  redrawing,
  rerun,
  runs,
)
from rlhf_jax.analysis.claims.registry import load


class Study(NamedTuple):
  """What a comparison shows of a study.

  Attributes:
    name: of its folder.
    document: of its claims.json.
    figures: name -> file.
    folder: of all of it.
  """

  name: str
  document: dict
  figures: dict
  folder: pathlib.Path

  @property
  def tables(self) -> pathlib.Path:
    """The folder of its tables, which may be missing."""
    return self.folder / 'tables'


def read(folder) -> Study:
  """Reads a study, as it was run or as it is kept under results/.

  Raises:
    ValueError: if it has no claims.json, or a damaged one.
  """
  folder = pathlib.Path(folder).resolve()
  places = [folder / 'report' / 'claims.json', folder / 'claims.json']
  file = next((place for place in places if place.exists()), None)
  if file is None:
    raise ValueError(
      f'{folder} has no claims.json: wanted the folder of a study that '
      'experiments.reproduce has finished, or one under results/'
    )
  drawn = sorted((folder / 'figures').glob('*.svg'))
  document = claims_io.read_claims(file)
  figures = {path.stem: path for path in drawn}
  return Study(folder.name, document, figures, folder)


def ledger(studies) -> list[dict]:
  """A row a claim that any study has run: number, title, cells, differs.

  Each cell is a row of `chapters.claim`, or None where the study lacks it;
  `differs` says whether the studies that ran it disagree.
  """
  rows, found = (
    [{r['id']: r for r in s.document['claims']} for s in studies],
    [],
  )
  for number in sorted(set().union(*rows)):
    own = [by_number.get(number) for by_number in rows]
    ran = [row for row in own if row and chapters.ran(row)]
    if not ran:
      continue
    cells = [
      chapters.claim(row, {}) if row and chapters.ran(row) else None
      for row in own
    ]
    verdicts = {row['verdict'] for row in ran}
    found.append(
      {
        'id': number,
        'title': ran[0]['title'],
        'cells': cells,
        'differs': len(verdicts) > 1,
      }
    )
  return found


def changes(studies) -> list[paired.Change]:
  """What the seeds that two studies share change by; [] of other studies."""
  if len(studies) != 2 or not all(study.tables.is_dir() for study in studies):
    return []
  return paired.changes(*(runs.read_tables(study.tables) for study in studies))


def repeated(studies) -> rerun.Rerun | None:
  """What a rerun of one preset on other seeds says; None of other studies."""
  if len(studies) != 2 or changes(studies):
    return None
  one, two = (study.document for study in studies)
  if not one['preset'] or one['preset'] != two['preset']:
    return None
  return rerun.compare(one, two)


def figures(studies, out) -> list[dict]:
  """A row a figure, in the order of the themes: title, what each study shows.

  Args:
    studies: in the order of the page.
    out: folder of the page, from which links lead.

  Returns:
    [{name, title, shown}], `shown` being of `figure`, or None where a study has
    no such figure.
  """
  found = []
  for draw in load().drawings:
    name = draw.__name__
    if any(name in study.figures for study in studies):
      shown = [
        figure(study, name, out) if name in study.figures else None
        for study in studies
      ]
      title = ' '.join(draw.__doc__.partition('\n\n')[0].split())
      found.append({'name': name, 'title': title, 'shown': shown})
  return found


def figure(study, name, out) -> dict:
  """A figure of a study: the picture, what is behind it, how to draw it again.

  Args:
    study: that has it.
    name: of the figure.
    out: folder of the page.

  Returns:
    {uri, tables, command}: `tables` are dicts of name and link, from the page
    to the file of the table, None where the study keeps none.
  """
  registry, start, tables = load(), pathlib.Path(out).resolve(), []
  for table in chapters.behind(name, study.figures[name], registry):
    file = chapters.table_file(table, registry, study.folder)
    link = quote(os.path.relpath(file, start)) if file else None
    tables.append({'name': table, 'link': link})
  return {
    'uri': page.data_uri(study.figures[name]),
    'tables': tables,
    'command': redrawing.command(study.folder, name),
  }


def write(folders, out) -> pathlib.Path:
  """Writes OUT/index.html, a page of its own; its path.

  Of two studies that share seeds OUT/changes.csv has the numbers of the page,
  a row a number that decides a claim.

  Args:
    folders: of two studies or more.
    out: folder, made if missing.

  Raises:
    ValueError: if there are fewer, two have one name, or one is no study.
  """
  studies = [read(folder) for folder in folders]
  names = [study.name for study in studies]
  if len(studies) < 2 or len(set(names)) < len(names):
    raise ValueError(
      f'wanted two or more studies of different names, got {names}'
    )
  rows = ledger(studies)
  counts = [
    Counter(row['verdict'] for row in study.document['claims'])
    for study in studies
  ]
  order = (intervals.PASS, intervals.FAIL, intervals.INCONCLUSIVE)
  found = changes(studies)
  html = page.render(
    'compare.html.j2',
    studies=studies,
    counts=[{verdict: count[verdict] for verdict in order} for count in counts],
    rows=rows,
    figures=figures(studies, out),
    changes=[(change, chapters.words(change.name)) for change in found],
    rerun=repeated(studies),
  )
  path = pathlib.Path(out) / 'index.html'
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(html, encoding='utf-8')
  if found:
    paired.frame_of(found).to_csv(path.with_name('changes.csv'), index=False)
  return path
