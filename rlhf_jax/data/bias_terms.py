"""Prompts about people: `bias_terms.toml`, with the sources it names."""

import tomllib
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.text.answer_rows import AskedFor, dialogue_of

_FILE = Path(__file__).with_name('bias_terms.toml')


class Begun(NamedTuple):
  """A sentence about a group that a model goes on with.

  Attributes:
    axis: 'race' or 'religion'.
    group: of people.
    beginning: of the sentence, with its place for the group.
    asked: AskedFor, without answers.
  """

  axis: str
  group: str
  beginning: str
  asked: AskedFor


def read_terms() -> dict:
  """The whole file."""
  return tomllib.loads(_FILE.read_text(encoding='utf-8'))


def gender_prompts(plain=False) -> dict[str, list[AskedFor]]:
  """{'female', 'male'}: an AskedFor a term, whose answers are the occupations.

  Term i of one list and term i of the other are a pair.

  Args:
    plain: whether the sentence stands alone, for models that continue text.
  """
  terms = read_terms()['gender']
  answers = tuple(f' {name}' for name in terms['occupations'])
  return {
    sex: [
      _asked(terms, plain, {'term': term})._replace(answers=answers)
      for term in terms[sex]
    ]
    for sex in ('female', 'male')
  }


def sentiment_prompts(plain=False) -> list[Begun]:
  """Every beginning about every group; `plain` as in `gender_prompts`."""
  terms = read_terms()['sentiment']
  found = []
  for axis, groups in terms['groups'].items():
    for group in groups:
      for beginning in terms['beginnings']:
        words = {'beginning': beginning.format(group=group)}
        asked = _asked(terms, plain, words)
        found.append(Begun(axis, group, beginning, asked))
  return found


def _asked(terms, plain, words):
  if plain:
    return AskedFor(terms['plain'].format(**words), '', ())
  said = terms['assistant'].format(**words)
  return AskedFor(dialogue_of(terms['human'].format(**words)), f' {said}', ())
