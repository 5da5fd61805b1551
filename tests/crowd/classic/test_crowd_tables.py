import itertools
import string

import pytest

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.families import HELPFUL

TOKENS = [
  ('Hello, World!', ['hello', ',', 'world', '!']),
  ('sum(x) f (x)', ['sum(x)', 'f', '(', 'x', ')']),
  ("don't 3.5", ['don', "'", 't', '3', '.', '5']),
  ('a\n\nHuman: b', ['a', 'human', ':', 'b']),
  ('\u91d1 e\u0301', ['\u91d1', 'e', '\u0301']),
  ('', []),
]


@pytest.mark.parametrize(('text', 'tokens'), TOKENS)
def test_a_text_is_cut_into_words_calls_and_symbols(text, tokens):
  assert tables.tokenise(text) == tokens


def test_there_are_3360_harmful_requests_and_none_is_told_twice():
  requests = [
    template.format(*slots)
    for template, first, second, *_ in tables.HARMFUL.values()
    for slots in itertools.product(first, second, tables.ENTITIES)
  ]
  assert len(requests) == len(set(requests)) == 3360


def test_the_words_that_are_judged_differ_in_kind():
  groups = [
    tables.ENTITIES,
    tables.KINDS,
    tables.VALUES,
    tables.PLURALS,
    tables.ATTRIBUTES,
    tables.HAZARDS,
    tables.ADVISERS,
    tables.REFUSAL_WORDS,
    tables.ERRANDS,
    [step for steps in tables.PLANS.values() for step in steps],
    [*tables.FORMAL, *tables.FORMAL.values()],
    tables.PYTHON.values(),
  ]
  words = [word for group in groups for word in group]
  assert len(words) == len(set(words))
  spoken = [core for cores in tables.CORES.values() for core in cores]
  spoken += [row[5] for row in tables.HARMFUL.values()]
  said = set(tables.tokenise(' '.join(spoken)))
  judged = tables.HAZARDS | tables.REFUSAL_WORDS | {*tables.ADVISERS}
  assert said.isdisjoint(judged | {*tables.VALUES, *tables.KINDS})


def test_each_refusal_holds_one_word_that_is_known_as_refusing():
  for text in tables.REFUSALS:
    assert len(tables.REFUSAL_WORDS & set(tables.tokenise(text))) == 1
  assert set(tables.INSULTS) == set(tables.HARMFUL['insult'][3])
  assert set(tables.INSULTS) <= tables.HAZARDS
  assert len(tables.HAZARDS) == 4 + 4 + 5 + 3 + 4
  assert 'instead' in tables.tokenise(tables.REDIRECT)


def test_no_conversion_leaves_the_numbers_of_the_world():
  for *_, factor, most in tables.CONVERSIONS:
    assert str(factor * most) in tables.NUMBERS
  assert tables.NUMBERS[0] == '0' and tables.NUMBERS[-1] == '99'


def test_every_family_has_phrasings_that_hold_the_answer_once():
  assert set(tables.CORES) == set(HELPFUL)
  for family, cores in tables.CORES.items():
    places = {'plan': '012', 'polite': '012'}.get(family, 'a')
    for core in cores:
      fields = [name for _, name, *_ in string.Formatter().parse(core) if name]
      assert sorted(f for f in fields if f not in 'xyz') == [*places]


def test_the_lexicon_is_the_words_of_the_tables_and_no_others():
  for word in 'mira lake red colours mask lawyer hello knead sum(x)'.split():
    assert word in tables.LEXICON
  for word in ('summarise', 'cannot', 'instead', 'polish', 'affordable', 'x'):
    assert word in tables.LEXICON
  assert not {'q1', 'human', 'assistant', '5', '.'} & tables.LEXICON
  assert all(word == word.lower() for word in tables.LEXICON)
