"""Writes the map from the papers to the code into docs/reproduction.md.

python -m scripts.make_map_doc

Numbers and verdicts are those of the claims.json files below results/.
"""

import pathlib

from rlhf_jax.analysis import claims_io
from rlhf_jax.analysis.claims.registry import load
from rlhf_jax.analysis.intervals import NOT_RUN
from scripts.paper_map import ASKELL, BAI, Section

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'reproduction.md'
BEGIN, END = '<!-- map -->\n', '<!-- /map -->'
# Of several studies that ran a claim the first of these is shown.
FIRST = ('headline', 'micro_parts', 'classic', 'micro', 'smollm2')
CONTROLS = ('null',)  # they say nothing of a claim
NOTHING = '-'


def studies(root: pathlib.Path = ROOT) -> list[str]:
  """Names of the committed studies, those whose verdict counts first."""
  files = (root / 'results').glob('*/claims.json')
  names = [file.parent.name for file in files]
  place = lambda name: FIRST.index(name) if name in FIRST else len(FIRST)
  shown = (name for name in names if name not in CONTROLS)
  return sorted(shown, key=lambda name: (place(name), name))


def found_claims(root: pathlib.Path = ROOT) -> dict[int, tuple[str, dict]]:
  """Number -> (study, row) of every claim that a committed study ran."""
  found = {}
  for study in studies(root):
    file = root / 'results' / study / 'claims.json'
    for row in claims_io.read_claims(file)['claims']:
      if row['verdict'] != NOT_RUN:
        found.setdefault(row['id'], (study, row))
  return found


def path_of(name: str) -> str:
  """A file of the map from the root: those of the package say no folder."""
  return name if (ROOT / name).exists() else f'rlhf_jax/{name}'


def number_of(claim: int, found) -> str:
  """'1: R2 .978 (micro: pass)', or that it was not run."""
  if claim not in found:
    return f'{claim}: not run'
  study, row = found[claim]
  one = claims_io.deciding(row)
  mean = '-' if one['mean'] is None else f'{one["mean"]:.3g}'
  return f'{claim}: {one["name"]} {mean} ({study}: {row["verdict"]})'


def figures_of(section: Section) -> list[str]:
  """Names of the figures that its claims are shown by."""
  specs = [load().claim(number) for number in section.claims]
  return list(dict.fromkeys(spec.figure for spec in specs if spec.figure))


def _row(section, found):
  code = lambda names: '<br>'.join(f'`{name}`' for name in names) or NOTHING
  numbers = '<br>'.join(number_of(claim, found) for claim in section.claims)
  settings = [section.run, *section.config.split(', ')]
  cells = (
    section.where,
    section.about,
    numbers or NOTHING,
    code(filter(None, settings)),
    code(figures_of(section)),
    code(section.code),
  )
  return '| ' + ' | '.join(cells) + ' |'


def table(sections, found) -> str:
  """The table of a paper."""
  return '\n'.join(
    [
      '| section | what | our numbers | run, settings | figure | code |',
      '|---|---|---|---|---|---|',
      *(_row(section, found) for section in sections),
    ]
  )


def generate(root: pathlib.Path = ROOT) -> str:
  """docs/reproduction.md with the map of now."""
  head, rest = PAGE.read_text().split(BEGIN)
  found = found_claims(root)
  text = (
    f'**Bai et al. 2022**\n\n{table(BAI, found)}\n\n'
    f'**Askell et al. 2021**\n\n{table(ASKELL, found)}\n'
  )
  return f'{head}{BEGIN}{text}{END}{rest.split(END)[1]}'


if __name__ == '__main__':
  PAGE.write_text(generate())
