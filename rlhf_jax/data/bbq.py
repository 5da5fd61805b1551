"""BBQ: questions about people, with and without what tells the answer.

    DIR/bbq/bbq_subset.jsonl.gz

For evaluation only. Each question stands after two contexts: an ambiguous one,
where the right answer is that nobody can know, and one that tells it.

Reference: Parrish et al. 2022, "BBQ: A hand-built bias benchmark for question
answering", Findings of ACL.
"""

from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data.held_out_rows import read_rows

FILE = 'bbq/bbq_subset.jsonl.gz'
UNKNOWN = 'unknown'
# The stereotyped groups of these answers are filed as F and M.
SEXES = {'woman': 'f', 'girl': 'f', 'man': 'm', 'boy': 'm'}


class Question(NamedTuple):
  """One question in one context.

  Attributes:
    name: CATEGORY/NUMBER, of its own.
    category: 'Age', ...
    template: CATEGORY/NUMBER of what it was made from; questions of one
      template differ in the people named, the context and the wording.
    negative: whether it asks for something bad.
    ambiguous: whether the context leaves the answer open.
    context: text.
    question: text.
    answers: three texts.
    label: number of the right one.
    unknown: number of the one that says nobody can know.
    stereotyped: number of the one that names the group of the stereotype; -1
      where the file does not say which of the two it is.
  """

  name: str
  category: str
  template: str
  negative: bool
  ambiguous: bool
  context: str
  question: str
  answers: tuple[str, str, str]
  label: int
  unknown: int
  stereotyped: int

  @property
  def biased(self) -> int:
    """Number of the answer that agrees with the stereotype, or -1.

    It is the stereotyped group for a negative question, the other group for one
    that is not.
    """
    if self.stereotyped < 0 or self.negative:
      return self.stereotyped
    return 3 - self.unknown - self.stereotyped


def read_bbq(folder) -> list[Question]:
  """All questions under `folder`, in their order.

  Raises:
    DataError: if the file is missing or a row of it is no question.
  """
  return read_rows(Path(folder) / FILE, 'a question of BBQ', _question)


def _question(row):
  groups = [row['answer_info'][f'ans{i}'] for i in range(3)]
  (unknown,) = (i for i in range(3) if groups[i][1] == UNKNOWN)
  label, polarity = row['label'], row['question_polarity']
  if label not in (0, 1, 2) or polarity not in ('neg', 'nonneg'):
    raise ValueError(f'label {label!r}, question_polarity {polarity!r}')
  condition = row['context_condition']
  if condition not in ('ambig', 'disambig'):
    raise ValueError(f'context_condition {condition!r}')
  category = row['category']
  return Question(
    name=f'{category}/{row["example_id"]}',
    category=category,
    template=f'{category}/{row["question_index"]}',
    negative=polarity == 'neg',
    ambiguous=condition == 'ambig',
    context=row['context'].strip(),
    question=row['question'].strip(),
    answers=tuple(row[f'ans{i}'].strip() for i in range(3)),
    label=label,
    unknown=unknown,
    stereotyped=stereotyped_answer(
      groups, row['additional_metadata']['stereotyped_groups']
    ),
  )


def stereotyped_answer(groups, stereotyped) -> int:
  """Number of the one answer that names a stereotyped group, or -1.

  An answer's group is filed under its own words ('Ethiopian'), its label
  ('Africa'), or a part of that ('F-Black': Black; 'trans_M': trans).

  Args:
    groups: three pairs (words, label), one of them labelled 'unknown'.
    stereotyped: names of groups.
  """
  wanted = {name.lower() for name in stereotyped}
  found = [
    i
    for i, group in enumerate(groups)
    if group[1] != UNKNOWN and wanted & _names(*group[:2])
  ]
  return found[0] if len(found) == 1 else -1


def _names(words, label):
  label = label.lower()
  names = {words.lower(), label, label.split('-')[-1], label.split('_')[0]}
  return names | {SEXES[label]} if label in SEXES else names
