"""Questions of the local evaluation sets, in one form for the task files.

    DIR/piqa/validation.jsonl.gz, ...     see FILES

For evaluation only. A question of multiple choice is {'item', 'question',
'choices', 'gold'}; the others say at their readers what they are.
"""

import functools
import hashlib
import re
from pathlib import Path

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.held_out_rows import read_rows, require_file

# Files of each set by split; 'test' is what is scored.
FILES = {
  'piqa': {'test': 'piqa/validation.jsonl.gz'},
  'hellaswag': {'test': 'hellaswag/validation_subset.jsonl.gz'},
  'arc_easy': {'test': 'arc_easy/validation.jsonl.gz'},
  'arc_challenge': {'test': 'arc_challenge/validation.jsonl.gz'},
  'openbookqa': {'test': 'openbookqa/validation.jsonl.gz'},
  'winogrande': {'test': 'winogrande/validation.jsonl.gz'},
  'lambada': {'test': 'lambada/lambada_openai.jsonl.gz'},
  'triviaqa': {'test': 'triviaqa/validation_subset.jsonl.gz'},
  'truthfulqa_mc1': {'test': 'truthfulqa/mc_task.jsonl.gz'},
  'truthfulqa_mc2': {'test': 'truthfulqa/mc_task.jsonl.gz'},
  'mmlu': {'test': 'mmlu/test.jsonl.gz', 'dev': 'mmlu/dev.jsonl.gz'},
  'bbq': {'test': 'bbq/bbq_subset.jsonl.gz'},
}
# Wordings of "nobody can know" in BBQ, each of which counts as right where that
# is; the harness has them from HELM.
UNKNOWN = (
  'Unknown',
  'Cannot answer',
  "Can't be determined",
  'Cannot be determined',
  "Can't answer",
  'Not known',
  'Not enough info',
  'Not enough information',
  'Not answerable',
  'Undetermined',
)


def _choice(item, question, choices, gold):
  """A question of multiple choice, checked."""
  choices = [str(choice) for choice in choices]
  if not 0 <= gold < len(choices) or not all(choices):
    raise ValueError(f'answer {gold} of {len(choices)} choices')
  return {
    'item': str(item),
    'question': question,
    'choices': choices,
    'gold': int(gold),
  }


def _piqa(row):
  choices = [row['sol1'], row['sol2']]
  return _choice(row['src_row'], row['goal'], choices, row['label'])


def without_brackets(text):
  """Text of HellaSwag without what wikiHow's layout left in it."""
  text = text.strip().replace(' [title]', '. ')
  return re.sub('\\[.*?\\]', '', text).replace('  ', ' ')


def _hellaswag(row):
  question = without_brackets(f'{row["activity_label"]}: {row["ctx"]}')
  choices = [without_brackets(ending) for ending in row['endings']]
  return _choice('', question, choices, row['label'])  # `ind` comes twice


def _labelled(key, row):
  """ARC and OpenBookQA: choices with labels."""
  gold = row['choices']['label'].index(row['answerKey'].strip())
  return _choice(row['id'], row[key], row['choices']['text'], gold)


def _winogrande(row):
  """A gap and two names, with the sentence in two halves.

  {..., 'contexts': the beginning with each name put in, 'rest': what follows}
  """
  gap = row['sentence'].index('_')
  names = [row['option1'], row['option2']]
  gold = ['1', '2'].index(row['answer'])
  doc = _choice(row['src_row'], row['sentence'], names, gold)
  contexts = [row['sentence'][:gap] + name for name in names]
  return doc | {
    'contexts': contexts,
    'rest': row['sentence'][gap + 1 :].strip(),
  }


def _lambada(row):
  """A passage and its last word: {'item', 'context', 'word'}."""
  word = row['continuation'].strip()
  if not word:
    raise ValueError('no last word')
  return {'item': str(row['src_row']), 'context': row['context'], 'word': word}


def _triviaqa(row):
  """A question and all that answers it: {'item', 'question', 'aliases'}."""
  aliases = [str(x) for x in dict.fromkeys([row['answer'], *row['aliases']])]
  return {
    'item': str(row['question_id']),
    'question': row['question'],
    'aliases': aliases,
  }


def _truthful_one(row):
  """The one true answer among false ones (MC1)."""
  targets = row['mc1_targets']
  truth = list(targets.values())
  if sum(truth) != 1:
    raise ValueError(f'{sum(truth)} true answers in mc1_targets')
  gold = truth.index(1)
  return _choice(row['src_row'], row['question'], list(targets), gold)


def _truthful_many(row):
  """{..., 'truth': 1 or 0 of each choice}, some of them true (MC2)."""
  targets = row['mc2_targets']
  truth = [int(value) for value in targets.values()]
  if not 0 < sum(truth) < len(truth):
    raise ValueError(f'{sum(truth)} true answers of {len(truth)}')
  gold = truth.index(1)
  doc = _choice(row['src_row'], row['question'], list(targets), gold)
  return doc | {'truth': truth}


def _mmlu(row):
  doc = _choice('', row['question'].strip(), row['choices'], row['answer'])
  return doc | {'subject': row['subject'].replace('_', ' ')}


def _bbq(row):
  """{..., 'context', 'condition', 'category', 'known', 'right'}.

  `known` are the two people and then all of UNKNOWN, `right` marks those that
  are right; `choices` are the three of the file.
  """
  answers = [row[f'ans{i}'] for i in range(3)]
  groups = [row['answer_info'][f'ans{i}'][-1] for i in range(3)]
  unknown = groups.index('unknown')
  people = [i for i in range(3) if i != unknown]
  item = f'{row["category"]}/{row["example_id"]}'
  doc = _choice(item, row['question'], answers, row['label'])
  people_right = [int(i == doc['gold']) for i in people]
  right = people_right + [int(doc['gold'] == unknown)] * len(UNKNOWN)
  return doc | {
    'context': row['context'],
    'condition': row['context_condition'],
    'category': row['category'],
    'known': [answers[i] for i in people] + list(UNKNOWN),
    'right': right,
  }


PARSERS = {
  'piqa': _piqa,
  'hellaswag': _hellaswag,
  'arc_easy': functools.partial(_labelled, 'question'),
  'arc_challenge': functools.partial(_labelled, 'question'),
  'openbookqa': functools.partial(_labelled, 'question_stem'),
  'winogrande': _winogrande,
  'lambada': _lambada,
  'triviaqa': _triviaqa,
  'truthfulqa_mc1': _truthful_one,
  'truthfulqa_mc2': _truthful_many,
  'mmlu': _mmlu,
  'bbq': _bbq,
}


def file_of(folder, name, split):
  """Path of a set's file.

  Raises:
    DataError: if it is missing, with the place where it belongs.
  """
  return require_file(Path(folder) / FILES[name][split])


@functools.cache
def read(folder, name, split='test'):
  """Questions of a set, in the order of its file.

  Args:
    folder: that holds the sets' folders.
    name: of the set, a key of FILES.
    split: of the set.

  Raises:
    DataError: if the file is missing, or naming the line that is no question.
  """
  path = file_of(folder, name, split)
  found = read_rows(path, f'a question of {name}', PARSERS[name])
  if not found:
    raise DataError(f'{path}: wanted questions of {name}, got an empty file')
  return [
    doc if doc['item'] else doc | {'item': str(number)}
    for number, doc in enumerate(found, 1)
  ]


def first(docs, limit):
  """Numbers of the questions that a limit takes: the first of them.

  Of a set with categories, which stand one after the other in its file, as many
  of each as make up that number, rounded up.

  Args:
    docs: questions.
    limit: None: all.
  """
  if limit is None:
    return list(range(len(docs)))
  kinds = {}
  for number, doc in enumerate(docs):
    kinds.setdefault(doc.get('category'), []).append(number)
  each = -(-limit // len(kinds))
  return sorted(number for inside in kinds.values() for number in inside[:each])


def shuffled(doc):
  """A question with its choices in an order of their own, always the same.

  TruthfulQA's files have the true answer first, which letters would give away.
  """
  order = sorted(
    range(len(doc['choices'])),
    key=lambda i: hashlib.sha256(
      f'{doc["item"]}\0{doc["choices"][i]}'.encode()
    ).digest(),
  )
  return doc | {
    'choices': [doc['choices'][i] for i in order],
    'gold': order.index(doc['gold']),
  }


def subjects(folder, name):
  """Subjects of a set, which are tasks of their own; [None] without any."""
  docs = read(str(folder), name)
  return list(dict.fromkeys(doc.get('subject') for doc in docs))


def splits(data, name, subject=None, shuffle=False, **more):
  """The set as the harness takes it: {split: datasets.Dataset}.

  The task files name it as their `custom_dataset`.

  Args:
    data: folder; from the task's metadata.
    name: of the set.
    subject: questions of this subject alone; None: all.
    shuffle: whether the choices are put in an order of their own.
    **more: other metadata, not used.
  """
  import datasets

  del more
  found = {}
  for split in FILES[name]:
    docs = read(str(data), name, split)
    docs = [doc for doc in docs if subject in (None, doc.get('subject'))]
    docs = [shuffled(doc) for doc in docs] if shuffle else docs
    found[split] = datasets.Dataset.from_list(docs)
  return found


def revision(folder, name):
  """Twelve hex digits of the SHA-256 of a set's files."""
  digest = hashlib.sha256()
  for split in FILES[name]:
    digest.update(file_of(folder, name, split).read_bytes())
  return digest.hexdigest()[:12]
