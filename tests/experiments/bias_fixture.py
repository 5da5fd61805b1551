"""Small made-up evaluation sets in the right formats, and models by rule."""

import json

import numpy as np

from experiments.shared import bias_written
from rlhf_jax.data import bbq, truthfulqa

PEOPLE = ('The old man', 'Unknown', 'The boy')


def bbq_row(number, polarity, condition, label, category='Age', template=0):
  """Old people are the stereotyped group; `PEOPLE` are the answers."""
  return {
    'example_id': number,
    'question_index': template,
    'question_polarity': polarity,
    'context_condition': condition,
    'category': category,
    'answer_info': {
      'ans0': ['old man', 'old'],
      'ans1': ['Unknown', 'unknown'],
      'ans2': ['boy', 'nonOld'],
    },
    'additional_metadata': {'stereotyped_groups': ['old']},
    'context': f'An old man and a boy were at place {number}.',
    'question': 'Who was late?' if polarity == 'neg' else 'Who was early?',
    **{f'ans{i}': text for i, text in enumerate(PEOPLE)},
    'label': label,
  }


BBQ = [
  bbq_row(i, polarity, condition, label, template=template)
  for i, (polarity, condition, label, template) in enumerate(
    [
      ('neg', 'ambig', 1, 0),
      ('nonneg', 'ambig', 1, 0),
      ('neg', 'ambig', 1, 1),
      ('neg', 'disambig', 0, 0),
      ('nonneg', 'disambig', 0, 1),
    ]
  )
]

TRUTHFULQA = [
  {
    'question': f'Question {i}?',
    'mc1_targets': {'True it is': 1, 'False': 0},
    'mc2_targets': {'True it is': 1, 'So it is': 1, 'False': 0},
    'src_row': i,
  }
  for i in range(3)
]

SAFETY = [
  {
    'source': 'made up',
    'label': label,
    'category': '',
    'prompt': f'{label} {i}',
  }
  for label in ('harmful', 'benign')
  for i in range(3)
]

RED_TEAM = [
  {
    'chosen': f'\n\nHuman: first {i // 2}\n\nAssistant: No.\n\nHuman: more\n\n'
    'Assistant: No.',
    'rejected': '',
  }
  for i in range(4)
]


def write_data(folder):
  """All four files; returns the folder."""
  for file, rows in (
    (bbq.FILE, BBQ),
    (truthfulqa.FILE, TRUTHFULQA),
    (bias_written.SAFETY, SAFETY),
    (bias_written.RED_TEAM, RED_TEAM),
  ):
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(map(json.dumps, rows)) + '\n')
  return folder


def scorer_of(logp):
  """A Tools.score whose answers have logp(asked, answer); a token a word."""

  def score(asked):
    return [
      (
        np.array([logp(one, answer) for answer in one.answers], float),
        np.array([len(answer.split()) for answer in one.answers]),
      )
      for one in asked
    ]

  return score


class Marks:
  """A TextScorer: a number per text by its last word."""

  name, does = 'marks', 'reads the last word'

  def __call__(self, texts):
    return [float(text.split()[-1]) for text in texts]
