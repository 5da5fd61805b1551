"""Tasks: what prompts ask for, and the two commonest ways to build one."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Task:
  """Task of a prompt: what it asks for.

  Attributes:
    family: name of the family.
    kind: 'helpful' or 'harmful'.
    checker: name of the checker that grades the core of a reply.
    right: right answers, each a tuple of words.
    wrong: plausible wrong answers.
    candidates: words that count as (part of) an answer.
    topic: words that show the reply to be about the request.
    given: candidates that the request itself names and that a reply may repeat.
    says: values of the fields {x}, {y}, {z} of the reply templates.
    core: family whose reply templates are used.
    asked: the words of the human turn, joined by spaces.
  """

  family: str
  kind: str = 'helpful'
  checker: str = 'none'
  right: tuple = ()
  wrong: tuple = ()
  candidates: frozenset = frozenset()
  topic: frozenset = frozenset()
  given: frozenset = frozenset()
  says: tuple = ()
  core: str = ''
  asked: str = ''


def single_task(family, answer, wrong, candidates, topic=(), given=(), says=()):
  """A task whose answer is one word."""
  return Task(
    family,
    checker='single',
    right=((answer,),),
    wrong=tuple((w,) for w in wrong if w != answer),
    candidates=frozenset(candidates),
    topic=frozenset(topic) | frozenset(candidates),
    given=frozenset(given),
    says=tuple(says),
    core=family,
  )


def sequence_task(family, answer, wrong, candidates=(), topic=()):
  """A task whose answer is words in order."""
  words = frozenset(candidates) | frozenset(answer)
  return Task(
    family,
    checker='sequence',
    right=(tuple(answer),),
    wrong=tuple(w for w in wrong if w != tuple(answer)),
    candidates=words,
    topic=words | frozenset(topic),
    core=family,
  )
