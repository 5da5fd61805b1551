"""What is fixed about a theme before anything is run: claims and tables.

A theme is a chapter of a paper and a module of this package, whose `THEME`
says what it claims, which tables it reads and owns, and what it draws.
"""

import dataclasses
from collections.abc import Callable, Mapping

from rlhf_jax.analysis.findings import Finding, Tables

BAI = 'Bai et al. 2022'
ASKELL = 'Askell et al. 2021'
OUYANG = 'Ouyang et al. 2022'
WANG = 'Wang et al. 2016'
GAO = 'Gao et al. 2022'
OURS = 'this project'

# Which run a row is of: the columns in front of every table.
RUN_COLUMNS = {
  'run_id': 'path of the run directory, relative to the study',
  'seed': 'of the run',
  'config_hash': 'of the config of the run',
  'commit': 'of the code that ran it',
  'role': 'what the run is for (see Roles)',
  'size': 'name on the ladder of the model that is trained, e.g. `13K`',
  'n_params': 'its parameters without embeddings',
  'half': 'of the comparisons that the train PM saw: `a`, `b` or `all`',
}


@dataclasses.dataclass(frozen=True)
class OnConversations:
  """How a claim is judged on real prompts or pairs, of which there is one draw.

  Attributes:
    evaluator: measures it with intervals over conversations.
    threshold: what a pass needs, set beforehand.
    table: that a study has which is judged so.
    role: of rows that it has there; '': of any.
  """

  evaluator: Callable[[Tables], Finding]
  threshold: str
  table: str = 'cross_pairs'
  role: str = ''

  def applies(self, tables: Tables) -> bool:
    """Whether a study is judged so."""
    if self.table not in tables:
      return False
    return not self.role or (tables[self.table]['role'] == self.role).any()


@dataclasses.dataclass(frozen=True)
class ClaimSpec:
  """One claim.

  Attributes:
    id: its number; 1 to 65 are those of the papers, the next ones our own.
    title: a few words.
    statement: the claim as a sentence.
    source: paper and figure or section.
    threshold: what a pass needs, set beforehand. Every bound is compared with
      a 95 % interval over seeds.
    evaluator: measures it from the tables, or None while nothing does.
    tables: names of the tables that the evaluator reads.
    figure: name of the drawing that shows the measurement.
    pm_role: role of the PMs its policies were trained against. Where they are
      no better than chance, nothing can be concluded.
    evidence: 'simulated' (a run; 'real' on real data) or 'identity' (a
      property that holds exactly, whatever was trained).
    min_seeds: seeds below which the verdict is inconclusive. 0: 8 for a claim
      on RL (one with a `pm_role`), 1 for an identity, 5 for the rest.
    crossed: how it is judged over conversations; None: over seeds, as ever.
  """

  id: int
  title: str
  statement: str
  source: str
  threshold: str
  evaluator: Callable[[Tables], Finding] | None = None
  tables: tuple[str, ...] = ()
  figure: str | None = None
  pm_role: str | None = None
  evidence: str = 'simulated'
  min_seeds: int = 0
  crossed: OnConversations | None = None

  def __post_init__(self):
    if not self.min_seeds:
      wanted = 1 if self.evidence == 'identity' else 5
      # The class is frozen, so that the default is set past its guard.
      object.__setattr__(self, 'min_seeds', 8 if self.pm_role else wanted)


@dataclasses.dataclass(frozen=True)
class Table:
  """One tidy table of a study.

  Attributes:
    name: of its file, NAME.csv.
    meaning: what a row is.
    columns: besides the run columns: column -> meaning.
    text: columns that stay text even where every entry looks like a number.
    optional: columns that studies of before lack.
    compressed: whether it is written as NAME.csv.gz.
    heading: over the table in the report; '' leaves it out.
    once: whether rows that several runs have are shown once, without the run.
  """

  name: str
  meaning: str
  columns: Mapping[str, str]
  text: tuple[str, ...] = ()
  optional: tuple[str, ...] = ()
  compressed: bool = False
  heading: str = ''
  once: bool = False


@dataclasses.dataclass(frozen=True)
class Theme:
  """One chapter.

  Attributes:
    title: of the chapter.
    claims: in order of number.
    tables: that it owns; it may read others.
    drawings: functions of a `figures.Canvas` and the tables; a figure has the
      name of its function.
    checks: functions of the tables that return part of a check's row: facts
      that every result is to be read beside.
    roles: role of its runs -> what such a run is.
    opening: what a reader has to know first; the chapter begins with it.
  """

  title: str
  claims: tuple[ClaimSpec, ...] = ()
  tables: tuple[Table, ...] = ()
  drawings: tuple[Callable, ...] = ()
  checks: tuple[Callable[[Tables], dict], ...] = ()
  roles: Mapping[str, str] = dataclasses.field(default_factory=dict)
  opening: str = ''
