import sys

import pytest

from rlhf_jax.analysis import claims
from rlhf_jax.analysis.claims import registry, spec

CLAIM = (
  "ClaimSpec({id}, 'title', 'A sentence.', 'a paper', 'x > 0', "
  'tables={tables}, figure={figure})'
)
THEME = """
from rlhf_jax.analysis.claims.spec import ClaimSpec, Table, Theme


def {drawing}(canvas, tables):
  pass


THEME = Theme(
  title='Fake',
  claims=({claim},),
  tables=(Table('{table}', 'a thing', {{'x': 'a number'}}),),
  drawings=({drawing},),
)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
  """write(name, ...) puts a theme into a folder on the package's path."""
  monkeypatch.setattr(claims, '__path__', [*claims.__path__, str(tmp_path)])
  before = set(sys.modules)

  def write(
    name, id=901, table='fakes', drawing='fake_line', tables=None, figure=None
  ):
    claim = CLAIM.format(
      id=id, tables=tables or (table,), figure=repr(figure or drawing)
    )
    text = THEME.format(claim=claim, table=table, drawing=drawing)
    (tmp_path / f'{name}.py').write_text(text)

  yield write
  for module in set(sys.modules) - before:
    if module.startswith(registry.PACKAGE):
      del sys.modules[module]
      vars(claims).pop(module.rpartition('.')[2], None)


def test_claims_are_in_order_of_number_and_know_their_theme():
  found = registry.load()
  numbers = [claim.id for claim in found.claims]
  assert numbers == sorted(set(numbers))
  assert found.theme_of[13] == 'sqrt_kl' and found.theme_of[37] == 'tension'
  assert found.claim(13).figure == 'reward_vs_sqrt_kl'
  assert found.claim(13) in found.themes['sqrt_kl'].claims
  with pytest.raises(KeyError, match='no claim 900: there are'):
    found.claim(900)


def test_what_a_claim_of_a_theme_names_is_there():
  found = registry.load()
  figures = {draw.__name__ for draw in found.drawings}
  for claim in found.claims:
    assert claim.figure is None or claim.figure in figures
    assert set(claim.tables) <= set(found.tables)
    assert bool(claim.tables) == (claim.evaluator is not None)


def test_every_column_of_every_table_says_what_it_means():
  for table in registry.load().tables.values():
    assert table.meaning and all(table.columns.values())
    assert set(table.text) | set(table.optional) <= set(table.columns)
    assert not set(table.columns) & set(spec.RUN_COLUMNS)


def test_figures_and_tables_are_in_the_order_of_the_themes():
  found = registry.load()
  assert list(found.themes) == list(registry.THEMES)
  first = ['lm', 'programs', 'reading', 'compute', 'pm_curve']
  assert list(found.tables)[:5] == first
  drawn = [draw.__name__ for draw in found.drawings]
  assert drawn.index('pm_min_score') < drawn.index('reward_vs_sqrt_kl')


def test_a_theme_in_another_folder_is_found_and_adds_to_the_house(write):
  write('fake')
  house, found = registry.load(), registry.load('fake', 'scaling')
  assert list(found.themes) == [*registry.THEMES, 'fake']
  assert found.claims == (*house.claims, found.claim(901))
  assert set(found.tables) - set(house.tables) == {'fakes'}
  assert found.drawings[-1].__name__ == 'fake_line'
  assert len(registry.load().claims) == len(house.claims)


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'id': 13}, "claims: 13 stands in theme 'sqrt_kl' and in 'fake'"),
    ({'table': 'lm'}, "tables: 'lm' stands in theme 'common' and in 'fake'"),
    ({'drawing': 'lm_loss'}, "drawings: 'lm_loss' stands in theme 'common'"),
    ({'figure': 'nothing'}, "claim 901 of theme 'fake' names nothing, which"),
    (
      {'tables': ('pm_curve', 'a', 'b')},
      "claim 901 of theme 'fake' names a, b",
    ),
  ],
)
def test_two_of_one_name_and_names_of_nothing_are_refused(
  write, given, message
):
  write('fake', **given)
  with pytest.raises(ValueError, match=message):
    registry.load('fake')


@pytest.mark.parametrize('name', ['nowhere', 'spec', 'judging'])
def test_what_is_no_theme_is_refused_by_name(name):
  with pytest.raises(ValueError, match=f"no theme '{name}'.*scaling"):
    registry.load(name)


def test_a_theme_that_lacks_a_library_says_which(write, tmp_path):
  (tmp_path / 'broken.py').write_text('import no_such_library')
  with pytest.raises(ModuleNotFoundError, match='no_such_library'):
    registry.load('broken')
