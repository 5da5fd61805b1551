"""Prompts and replies labelled by the harm in them. For evaluation only.

    DIR/safety_prompts/prompts.jsonl.gz    prompts: harmful, benign, jailbreak
    DIR/refusal_labels/responses.jsonl.gz  replies: refused, in part, complied
    DIR/jailbreak_judge/rows.jsonl.gz      replies that three people judged

Some of these replies are harmful: they are scored, never trained on and never
shown.
"""

from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data.held_out_rows import read_rows
from rlhf_jax.data.judged import ROW

COMPLIED, REFUSED, IN_PART = 'complied', 'refused', 'in part'
JUDGES = ('harmbench', 'gpt4', 'llamaguard2', 'llama3')
_LABELS = {
  '0': COMPLIED,
  '1': REFUSED,
  '1_full_compliance': COMPLIED,
  '2_full_refusal': REFUSED,
  '3_partial_refusal': IN_PART,
}


class SafetyPrompt(NamedTuple):
  """A prompt: `source` of it, `label` harmful, benign or jailbreak."""

  source: str
  label: str
  prompt: str


class LabelledReply(NamedTuple):
  """A reply and what people called it: one of COMPLIED, REFUSED, IN_PART."""

  source: str
  prompt: str
  reply: str
  label: str


class JudgedReply(NamedTuple):
  """A reply to an attack.

  Attributes:
    goal: what the attack is after.
    prompt: the attack.
    reply: of the attacked model.
    people: votes of three people, 1: jailbroken.
    majority: theirs.
    judges: {name of JUDGES: its vote}.
  """

  goal: str
  prompt: str
  reply: str
  people: tuple[int, int, int]
  majority: int
  judges: dict[str, int]


def read_safety_prompts(folder) -> list[SafetyPrompt]:
  """All prompts of all sources."""
  keys = SafetyPrompt._fields

  def make(row):
    found = SafetyPrompt(*(row[key] for key in keys))
    if found.label not in ('harmful', 'benign', 'jailbreak'):
      raise ValueError(f'label {found.label!r}')
    return found

  path = Path(folder) / 'safety_prompts' / 'prompts.jsonl.gz'
  return read_rows(path, ROW, make, keys)


def read_refusal_labels(folder) -> list[LabelledReply]:
  """All replies of all sources; a missing reply is an empty one."""

  def make(row):
    label = _LABELS[str(row['refusal'])]
    texts = (row[key] or '' for key in ('source', 'prompt', 'response'))
    return LabelledReply(*texts, label)

  path = Path(folder) / 'refusal_labels' / 'responses.jsonl.gz'
  return read_rows(path, ROW, make, ('source', 'prompt', 'response', 'refusal'))


def read_jailbreaks(folder) -> list[JudgedReply]:
  """The replies of JailbreakBench's comparison of judges."""

  def make(row):
    people = tuple(_vote(row[f'human{i}']) for i in (1, 2, 3))
    majority = _vote(row['human_majority'])
    if majority != int(sum(people) > 1):
      raise ValueError('a majority that is none')
    judges = {name: _vote(row[f'{name}_cf']) for name in JUDGES}
    texts = (row[key] or '' for key in ('goal', 'prompt', 'target_response'))
    return JudgedReply(*texts, people, majority, judges)

  path = Path(folder) / 'jailbreak_judge' / 'rows.jsonl.gz'
  return read_rows(
    path, ROW, make, ('goal', 'prompt', 'target_response', 'human1')
  )


def _vote(value):
  if int(value) not in (0, 1):
    raise ValueError(f'vote {value!r}')
  return int(value)
