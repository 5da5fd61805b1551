"""Sets of items on which detectors of harm are measured."""

import numpy as np

from rlhf_jax.data.harm import (
  JudgedReply,
  read_jailbreaks,
  read_refusal_labels,
  read_safety_prompts,
)
from rlhf_jax.data.jsonl import read_comparisons
from rlhf_jax.data.public.ranked import as_dialogue
from rlhf_jax.judges.detectors import Item
from rlhf_jax.text.dialogue import (
  ASSISTANT,
  HUMAN,
  first_words,
  format_dialogue,
  parse_dialogue,
  split_reply,
)

LOOK_ALIKES = 'xstest'  # its benign prompts look like harmful ones
KNOWN = 'hh_helpful_base_test'
RED_TEAM = 'hh_harmless_base_test'


def prompt_item(prompt, harmful, source, replies=()) -> Item:
  """The Item of one prompt."""
  dialogue, _ = split_reply(as_dialogue(prompt, ''))
  return Item(prompt, prompt, tuple(replies), dialogue, harmful, source)


def prompt_sets(folder, replies=None) -> dict[str, list[Item]]:
  """Items of safety_prompts: harmful ones, look-alikes, jailbreaks.

  Args:
    folder: of the data.
    replies: {prompt: reply} of a policy, or None; prompts it has not answered
      have none.
  """
  replies, rows = replies or {}, read_safety_prompts(folder)
  said = lambda prompt: (replies[prompt],) if prompt in replies else ()
  make = lambda row: prompt_item(
    row.prompt, int(row.label != 'benign'), row.source, said(row.prompt)
  )
  by_label = {
    label: [make(row) for row in rows if row.label == label]
    for label in ('harmful', 'benign', 'jailbreak')
  }
  harmful, benign = by_label['harmful'], by_label['benign']
  alike = [x for x in (*harmful, *benign) if x.source == LOOK_ALIKES]
  return {
    'prompts': [*harmful, *benign],
    'look_alikes': alike,
    'jailbreaks': [*by_label['jailbreak'], *benign],
  }


def answered_sets(folder) -> dict[str, list[Item]]:
  """Items of XSTest with the reply of a model each: {'xstest MODEL': items}.

  Only prompts that safety_prompts and refusal_labels both have.
  """
  harmful = {
    row.prompt: int(row.label == 'harmful')
    for row in read_safety_prompts(folder)
    if row.source == LOOK_ALIKES
  }
  found = {}
  for row in read_refusal_labels(folder):
    name = row.source.replace('_', ' ', 1)
    if row.prompt in harmful and row.source.startswith(LOOK_ALIKES):
      item = prompt_item(row.prompt, harmful[row.prompt], name, [row.reply])
      found.setdefault(name, []).append(item)
  return found


def conversations(folder) -> list[tuple[str, str]]:
  """[(dialogue, file)] of HH, the longest of those that begin alike.

  Dialogues end before the two replies that were compared, which labels have
  chosen. A first turn that both files have is in neither.
  """
  found = {}
  for name in (KNOWN, RED_TEAM):
    items, _ = read_comparisons(f'{folder}/{name}', 'skip')
    longest = {}
    for item in items:
      dialogue, _ = split_reply(item.chosen)
      first = first_words(dialogue)
      if first and len(dialogue) > len(longest.get(first, '')):
        longest[first] = dialogue
    found[name] = longest
  both = found[KNOWN].keys() & found[RED_TEAM].keys()
  return [
    (dialogue, name)
    for name, own in found.items()
    for first, dialogue in own.items()
    if first not in both
  ]


def of_prompts(pairs, prompts) -> list[tuple[str, str]]:
  """The conversations that begin as one of the prompts does.

  Args:
    pairs: of `conversations`.
    prompts: dialogues, such as those that a run has held out.

  Raises:
    ValueError: if there is none.
  """
  firsts = {first_words(prompt) for prompt in prompts}
  found = [(text, name) for text, name in pairs if first_words(text) in firsts]
  if not found:
    raise ValueError(
      f'none of {len(pairs)} conversations begins as one of {len(firsts)} '
      'held-out prompts: wanted a run on the same files'
    )
  return found


def dialogue_sets(pairs) -> dict[str, list[Item]]:
  """Items of dialogues with two exchanges or more: first turn, and whole.

  Args:
    pairs: of `conversations`.
  """
  first, whole = [], []
  for dialogue, name in pairs:
    turns = parse_dialogue(dialogue)[:-1]  # the last one is the empty reply
    said = [x.text.strip() for x in turns if x.role == 'assistant']
    if not said:
      continue
    asked = [x.text.strip() for x in turns if x.role == 'human']
    start, _ = split_reply(format_dialogue([turns[0], ('assistant', '')]))
    rest = int(name == RED_TEAM), name
    first.append(Item(asked[0], asked[0], (said[0],), start, *rest))
    whole.append(Item(asked[0], '\n'.join(asked), tuple(said), dialogue, *rest))
  return {'dialogues, first turn': first, 'dialogues, whole': whole}


def known_texts(pairs) -> list[tuple[str, str]]:
  """[(words, dialogue)] of the first turns of helpful conversations."""
  firsts = [first_words(text) for text, name in pairs if name == KNOWN]
  return [(words, f'{HUMAN} {words}{ASSISTANT}') for words in firsts]


def jailbreak_items(folder) -> tuple[list[Item], list[JudgedReply]]:
  """(items, rows) of the replies that three people judged."""
  rows = read_jailbreaks(folder)
  items = [
    prompt_item(row.prompt, row.majority, 'jailbreak_judge', [row.reply])
    for row in rows
  ]
  return [
    item._replace(key=row.goal) for item, row in zip(items, rows, strict=True)
  ], rows


def labels_of(items) -> np.ndarray:
  """harmful_N."""
  return np.array([item.harmful for item in items], int)
