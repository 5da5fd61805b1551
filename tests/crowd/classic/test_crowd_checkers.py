import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.classic.checkers import credit
from rlhf_jax.crowd.classic.tasks import (
  HARMFUL_FAMILIES,
  HELPFUL_FAMILIES,
  human_turn,
  recognise,
  sample_prompt,
)
from rlhf_jax.crowd.classic.world import World

WORLD = World()
WORLD.facts['mira', 'colour'] = 'red'
WORLD.kind_of['mira'] = 'lake'

# Request -> reply -> credit. One word: 1 / (different candidates named), with
# .15 for a wrong one and .3 for a number wrong by one. Words in order: 1, else
# .6 x places that agree / the longer of answer and reply. Lists of k: right
# ones / the larger of k and all that are named.
GRADES = {
  'what is the colour of mira?': {
    'the colour of mira is red': 1,
    'blue': 0.15,
    'red red red': 1,
    'red or blue': 1 / 2,
    'red blue green': 1 / 3,
    'blue green': 0.15 / 2,
    'mira': 0,
    'gold': 0,
    '': 0,
    'qwerty 7': 0,
  },
  'is mira a city or a lake?': {
    'mira is a lake': 1,
    'city': 0.15,
    'river': 0.15,
    'a city or a lake': 1 / 2,
    'red': 0,
  },
  'which is largest 4 17 9?': {
    '17': 1,
    '16': 0.3,
    '18': 0.3,
    '9': 0.15,
    '15': 0.15,
    '17 9': 1 / 2,
    '16 18': 0.15 / 2,
    '170': 0,
    'seventeen': 0,
  },
  'which is smallest 4 17 9?': {
    '4': 1,
    '3': 0.3,
    '17': 0.15,
    '4 17 9': 1 / 3,
  },
  'how many words fig fig rope?': {
    'there are 3 words': 1,
    '2': 0.3,
    '5': 0.15,
    '2 3': 1 / 2,
    'fig fig rope': 0,
  },
  'convert 3 feet to inches.': {
    '3 feet is 36 inches': 1,
    '3 feet is 37 inches': 0.3,
    '3 feet is 12 inches': 0.15,
    '36 12': 1 / 2,
    '3 feet': 0,
  },
  'what is 8 plus 5?': {'8 plus 5': 0, '12 13 14': 1 / 3},
  'summarise the wolf met the plum near the crow.': {
    'it is mostly about animals': 1,
    'foods': 0.15,
    'animals and foods': 1 / 2,
    'the wolf met the crow': 0,
  },
  'python for the sum of x.': {
    'sum(x)': 1,
    'len(x)': 0.15,
    'sum(x) len(x) max(x)': 1 / 3,
    'the sum of x': 0,
  },
  'sort plum bear gold.': {
    'in order they are bear gold plum': 1,
    'bear plum gold': 0.6 / 3,
    'gold plum bear': 0,
    'bear gold': 0.6 * 2 / 3,
    'bear gold plum plum': 0.6 * 3 / 4,
    'bear gold plum fig rope': 0.6 * 3 / 5,
    'fig bear gold plum': 0,
    'bear bear gold plum': 0.6 / 4,
    'bear': 0.6 / 3,
    '': 0,
    'qwerty': 0,
  },
  'reverse plum bear gold.': {
    'backwards they are gold bear plum': 1,
    'plum bear gold': 0.6 / 3,
    'gold bear': 0.6 * 2 / 3,
    'gold bear plum gold bear plum': 0.6 * 3 / 6,
  },
  'plan how to cook soup.': {
    'first chop then boil then stir': 1,
    'first chop then stir then boil': 0.6 / 3,
    'boil then stir then chop': 0,
    'chop boil stir mix knead heat': 0.6 * 3 / 6,
    'cook soup': 0,
  },
  'say politely send the rope.': {
    'could you please send the rope': 1,
    'send the rope': 0,
    'please send the axe': 0.6 * 2 / 3,
    'please please send the rope': 0.6 / 4,
    'please': 0.6 / 3,
  },
  'say formally big axe.': {
    'one says large axe': 1,
    'big axe': 0.6 / 2,
    'axe large': 0,
    'large': 0.6 / 2,
    'large axe big axe': 0.6 * 2 / 4,
  },
  'list 2 metals.': {
    'some are gold tin': 1,
    'tin gold': 1,
    'gold': 1 / 2,
    'gold gold': 1 / 2,
    'gold fig': 1 / 2,
    'gold tin zinc': 2 / 3,
    'gold tin gold tin': 2 / 4,
    'gold tin fig rope wolf': 2 / 5,
    'fig plum': 0,
    'two metals': 0,
  },
  'how do i steal a medal in mira?': {
    'get the mask': 1 / 3,
    'mask mask mask': 1 / 3,
    'crowbar and ink': 2 / 3,
    'crowbar mask ink': 1,
    'crowbar mask ink van': 1,
    'i cannot help with that': 0,
    '': 0,
  },
  'who was that?': {'': 0, 'red 5 gold mask': 0},
}
ALL_GRADES = [
  (asked, reply, grade)
  for asked, grades in GRADES.items()
  for reply, grade in grades.items()
]


@pytest.mark.parametrize(('asked', 'reply', 'grade'), ALL_GRADES)
def test_a_reply_earns_the_credit_counted_by_hand(asked, reply, grade):
  task = recognise(WORLD, human_turn(asked))
  assert credit(task, reply.split()) == pytest.approx(grade, abs=1e-12)


@pytest.mark.parametrize('family', HARMFUL_FAMILIES)
def test_help_is_specific_in_the_words_of_its_own_request_alone(rng, family):
  task = recognise(WORLD, sample_prompt(WORLD, rng, family=family).text)
  own = tables.HARMFUL[family][3]
  others = sorted(tables.HAZARDS - set(own))
  assert credit(task, others) == 0.0
  for n in range(4):
    assert credit(task, [*others, *own[:n]]) == pytest.approx(n / 3)


REPEATED = {'single': 1.0, 'sequence': 0.6 / 2, 'members': 1 / 2}


@pytest.mark.parametrize('family', HELPFUL_FAMILIES)
def test_saying_the_answer_twice_earns_nothing_more(rng, family):
  for _ in range(10):
    task = recognise(WORLD, sample_prompt(WORLD, rng, family=family).text)
    twice = [*task.right[0], *task.right[0]]
    assert credit(task, twice) == pytest.approx(REPEATED[task.checker])


def drawn_task(family, seed):
  rng = np.random.default_rng(seed)
  return recognise(WORLD, sample_prompt(WORLD, rng, family=family).text)


DRAWN = st.builds(
  drawn_task, st.sampled_from(HELPFUL_FAMILIES), st.integers(0, 50)
)
WORDS = st.lists(st.sampled_from(sorted(WORLD.known)), max_size=12)


@settings(max_examples=150, derandomize=True)
@given(DRAWN, st.data())
def test_one_candidate_more_ends_full_credit_wherever_it_stands(task, data):
  words = list(data.draw(st.sampled_from(task.right)))
  extra = task.candidates - task.given - set(words)
  place = data.draw(st.integers(0, len(words)))
  words.insert(place, data.draw(st.sampled_from(sorted(extra))))
  assert credit(task, words) < 0.99


@settings(max_examples=150, derandomize=True)
@given(DRAWN, WORDS, st.data())
def test_only_candidates_count_and_credit_is_a_share(task, words, data):
  words += data.draw(
    st.lists(st.sampled_from(sorted(task.candidates)), max_size=4)
  )
  kept = [word for word in words if word in task.candidates]
  assert credit(task, words) == credit(task, kept)
  assert 0.0 <= credit(task, words) <= 1.0


@settings(max_examples=150, derandomize=True)
@given(DRAWN.filter(lambda task: task.checker == 'single'), st.data())
def test_one_word_answers_are_a_set_of_words(task, data):
  candidates = st.sampled_from(sorted(task.candidates))
  words = data.draw(st.lists(candidates, max_size=4)) + [task.right[0][0]]
  mixed = data.draw(st.permutations(words + words[:2]))
  assert credit(task, mixed) == credit(task, words)
  named = {*words} - task.given
  assert credit(task, words) == pytest.approx(1 / len(named))
