"""First turns of people as prompts of two kinds, and rows of exposure."""

import types

import numpy as np
import pytest
import shared_fixture as tiny

from experiments.shared import outliers
from rlhf_jax.analysis import ood

CONFIG = {
  'seed': 0,
  'data': {'source': 'hh'},
  'feature_folder': 'F',
  'fit_prompts': 3,
  'test_prompts': 2,
  'exposed_prompts': 2,
  'exposures': [1, 2],
  'exposure_draws': 2,
  'exposure_l2': 0.1,
}


@pytest.fixture
def people(monkeypatch):
  """Eight helpful first turns and six harmless ones, one of both, one empty."""
  helpful = [f' help {i}' for i in range(8)] + [' both', '  ']
  harmless = [f' steal {i}' for i in range(6)] + [' both']
  talk = lambda said, kind, reply: types.SimpleNamespace(
    kind=kind,
    chosen=f'\n\nHuman:{said}\n\nAssistant: {reply}\n\nHuman: on\n\nAssistant:',
  )
  train = [talk(x, 'helpful', 'a') for x in helpful]
  test = [talk(x, 'harmless', 'a') for x in harmless]
  test += [talk(x, 'helpful', 'b') for x in helpful[:3]]  # the same once more
  found = tiny.namespace(train=train, test=test)
  asked = []
  monkeypatch.setattr(
    outliers.people,
    'read_people',
    lambda *args, **_: asked.append(args) or found,
  )
  return asked


def named(said):
  return {f'\n\nHuman:{x}\n\nAssistant:' for x in said}


def test_first_turns_of_people_come_once_and_those_of_both_kinds_never(people):
  found = outliers.read_texts(CONFIG)
  assert people == [({'source': 'hh'}, 'F/tfds', 0.5)]
  assert len(set(found.known)) == 5 and len(set(found.others)) == 4
  assert set(found.known) < named(f' help {i}' for i in range(8))
  assert set(found.others) < named(f' steal {i}' for i in range(6))
  assert found.counts == {
    'first turns': {
      'helpful': {'read': 8, 'kept': 5},
      'harmless': {'read': 6, 'kept': 4},
      'of both kinds': 1,
    }
  }
  assert outliers.read_texts(CONFIG) == found
  assert outliers.read_texts(CONFIG | {'seed': 1}).known != found.known


def test_what_a_chat_template_does_not_take_is_not_there(people):
  some = lambda items: [item for item in items if '7' not in item[0]]
  found = outliers.read_texts(CONFIG, some)
  assert found.counts['first turns']['helpful']['read'] == 7
  none = lambda items: items[:4]
  with pytest.raises(
    ValueError, match='wanted 5 different helpful prompts, go'
  ):
    outliers.read_texts(CONFIG, none)


def test_no_prompt_is_in_two_parts_of_a_split():
  """Five known prompts and four others, of which two may be shown."""
  for number in range(3):
    parts = outliers.split_rows(CONFIG, number)
    sizes = {name: len(rows) for name, rows in parts._asdict().items()}
    assert sizes == {'fit': 3, 'known': 2, 'outliers': 2, 'exposed': 2}
    assert sorted(np.concatenate(parts)) == list(range(9))
    assert max(*parts.fit, *parts.known) < 5
  first, second = (outliers.split_rows(CONFIG, n)[0].tolist() for n in (0, 5))
  assert first != second


def part_of(*sizes):
  """A Split of features that nobody reads."""
  return outliers.Split(*(np.zeros((n, 1)) for n in sizes))


def test_errors_are_over_prompts_and_over_what_was_drawn(monkeypatch):
  """Of two draws one tells all four prompts apart, the other none: 1 and 1/2.

  Their spread is sqrt(1/8), so that drawn adds 1/16 to the square of an error.
  """
  scores = iter([[2.0, 2, 1, 1], [1.0, 1, 1, 1], [2.0, 2, 1, 1], [2, 2, 1, 1]])
  shown = []

  def scored(fit_ND, shown_MD, tested_ND, l2):
    shown.append((len(fit_ND), len(shown_MD), len(tested_ND), l2))
    return np.array(next(scores), float)

  monkeypatch.setattr(outliers, 'exposed_scores', scored)
  best = ood.auroc([1.0, 0.0], [0.0, 0.0])  # 3/4
  one, two = outliers.exposure_rows(
    part_of(3, 2, 2, 2), {'layer': 4}, best, CONFIG, np.random.default_rng(0)
  )
  assert shown == [(3, n, 4, 0.1) for n in (1, 1, 2, 2)]
  assert (one['outliers'], two['outliers'], one['layer']) == (1, 2, 4)
  assert (one['auroc'], two['auroc']) == (0.75, 1.0)
  assert one['spread'] == pytest.approx(np.sqrt(1 / 8)) and two['spread'] == 0
  # Within a draw all prompts are alike, so that nothing is left over prompts.
  assert one['auroc_se'] == pytest.approx(1 / 4) and two['auroc_se'] == 0
  assert (one['over_best'], two['over_best']) == (0, 0.25)
  assert one['over_best_se'] == pytest.approx(np.sqrt(best.error**2 + 1 / 16))
  assert two['over_best_se'] == pytest.approx(best.error)
  assert (one['over_fewest'], one['over_fewest_se']) == (0, 0)
  assert two['over_fewest'] == 0.25  # the noise of both draws is in it
  assert two['over_fewest_se'] == pytest.approx(1 / 4)


def test_a_feature_that_never_varies_names_itself():
  rows = np.stack([np.arange(4.0), np.ones(4)], 1)
  with pytest.raises(ValueError, match='feature 1 is the same in all 4 rows'):
    outliers.layer_scores(outliers.Split(rows, rows, rows, rows))
