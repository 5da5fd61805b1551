"""Small evaluation sets of the right form, for tests without the real ones."""

import gzip
import json

CHOICES = {'text': ['the cat', 'a dog', 'hello'], 'label': ['A', 'B', 'C']}
SETS = {
  'piqa/validation': [
    {'goal': f'say {word}', 'sol1': 'hello cat ', 'sol2': 'dog', 'label': 1}
    for word in ('hello', 'the cat', 'good', 'dog')
  ],
  'hellaswag/validation_subset': [
    {
      'activity_label': 'Talking',
      'ctx': 'The cat [x] says  hello. the dog',
      'endings': ['says hello.', 'is [title] good.', 'the', 'dog dog dog'],
      'label': 3,
    },
    {
      'activity_label': 'Dog',
      'ctx': 'A dog',
      'endings': ['a.', 'b.', 'c.', 'd.'],
      'label': 0,
    },
  ],
  'arc_easy/validation': [
    {'question': 'Who says hello?', 'choices': CHOICES, 'answerKey': 'C'},
    {'question': 'Who is good?', 'choices': CHOICES, 'answerKey': 'A'},
  ],
  'arc_challenge/validation': [
    {
      'question': 'Who is it?',
      'choices': {'text': ['cat', 'dog'], 'label': ['1', '2']},
      'answerKey': '2',
    },
    {'question': 'Who is good?', 'choices': CHOICES, 'answerKey': 'B'},
  ],
  'openbookqa/validation': [
    {'question_stem': 'The cat is', 'choices': CHOICES, 'answerKey': 'A'},
    {'question_stem': 'The dog is', 'choices': CHOICES, 'answerKey': 'B'},
  ],
  'winogrande/validation': [
    {
      'sentence': 'The cat saw the dog and _ said hello.',
      'option1': 'the cat',
      'option2': 'the dog',
      'answer': answer,
    }
    for answer in ('2', '1')
  ],
  'lambada/lambada_openai': [
    {'context': 'the cat and the', 'continuation': 'dog'},
    {'context': 'the dog and the', 'continuation': 'cat'},
  ],
  'triviaqa/validation_subset': [
    {'question': 'Who?', 'answer': 'cat', 'aliases': ['cat', 'The Cat']},
    {'question': 'What?', 'answer': 'dog', 'aliases': ['dog']},
  ],
  'truthfulqa/mc_task': [
    {
      'question': f'Is the {word} good?',
      'mc1_targets': {'Yes.': 1, 'No.': 0, 'Dog.': 0},
      'mc2_targets': {'Yes.': 1, 'It is.': 1, 'No.': 0},
    }
    for word in ('cat', 'dog')
  ],
  'mmlu/test': [
    {
      'question': f'Which {n}? ',
      'subject': subject,
      'choices': ['cat', 'dog', 'hello', 'good'],
      'answer': n,
    }
    for subject in ('high_school_cats', 'dogs')
    for n in range(3)
  ],
  'mmlu/dev': [
    {
      'question': f'Example of {subject} {n}?',
      'subject': subject,
      'choices': ['a', 'b', 'c', 'd'],
      'answer': n,
    }
    for subject in ('high_school_cats', 'dogs')
    for n in range(2)
  ],
  'bbq/bbq_subset': [
    {
      'category': 'Age',
      'context_condition': condition,
      'answer_info': {
        'ans0': ['man', 'old'],
        'ans1': ["Can't answer", 'unknown'],
        'ans2': ['boy', 'nonOld'],
      },
      'context': 'A man and a boy met.',
      'question': 'Who was late?',
      'ans0': 'The man',
      'ans1': "Can't answer",
      'ans2': 'The boy',
      'label': label,
    }
    for condition, label in (('ambig', 1), ('disambig', 2))
  ],
}  # fmt: skip
NAMES = {'src_row', 'id', 'ind', 'question_id', 'example_id'}


def write_set(folder, name, rows):
  """Writes one file of rows; names of items are added to each."""
  path = folder / f'{name}.jsonl.gz'
  path.parent.mkdir(parents=True, exist_ok=True)
  rows = [dict.fromkeys(NAMES, n) | row for n, row in enumerate(rows)]
  lines = ''.join(json.dumps(row) + '\n' for row in rows)
  path.write_bytes(gzip.compress(lines.encode(), mtime=0))
  return path


def write_sets(folder):
  """Writes all of them; returns the folder."""
  for name, rows in SETS.items():
    write_set(folder, name, rows)
  return folder
