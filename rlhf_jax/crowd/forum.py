"""A simulated forum: questions, answers with votes, and vandalised edits.

    votes(answer) = up - down of R readers, R geometric with mean `readers`
    P(up)         = sigmoid((helpfulness + bias[rank]) / temperature)

Readers see gold helpfulness through far more noise than the workers of
comparisons do, favour the answer that was there first, and are asked harmless
questions alone; whoever asked accepts the answer that pleases him most. Edits
are sentences of the world and what a vandal makes of them, who writes an
insult, a wrong fact, or words in disorder. The records are those of the public
dumps' readers (`data/public`), and so are scores and pairs.
"""

from collections.abc import Iterator

import numpy as np

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.draw import pick
from rlhf_jax.crowd.workers import score_reply
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.data.public.ranked import Thread
from rlhf_jax.data.public.stackexchange import score_of
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN

ANSWERS = (2, 5)  # of a question, from .. to
READERS = 12.0  # of an answer, on average
FIRST = 1.0  # bias for the answer that was there first, log-odds
TEMPERATURE = 3.0  # of a vote; that of a worker is about 1
WHIM = 1.0  # standard deviation of what the asker likes besides gold
SOURCES = ('forum', 'edits')


def votes_of(gold: float, rank: int, rng) -> int:
  """Up votes less down votes of an answer.

  Args:
    gold: its helpfulness, log-odds.
    rank: 0 for the answer that was there first.
    rng: NumPy generator.
  """
  readers = int(rng.geometric(1 / READERS))
  z = (gold + FIRST * (rank == 0)) / TEMPERATURE
  up = int(rng.binomial(readers, 1 / (1 + np.exp(-z))))
  return 2 * up - readers


def question(world, rng) -> Thread:
  """A question with its answers and their scores."""
  rules = rules_of(world)
  prompt = rules.sample_prompt(world, rng, 'helpful')
  while prompt.text.count(HUMAN) > 1:  # a question has one turn
    prompt = rules.sample_prompt(world, rng, 'helpful')
  count = int(rng.integers(ANSWERS[0], ANSWERS[1] + 1))
  replies = [
    rules.write_reply(world, rng, prompt, rng.random()) for _ in range(count)
  ]
  gold_N = [score_reply(world, prompt.text, r, 'helpful') for r in replies]
  liked = int(np.argmax(gold_N + WHIM * rng.standard_normal(count)))
  texts = [
    (reply.strip(), score_of(votes_of(gold_N[i], i, rng), i == liked))
    for i, reply in enumerate(replies)
  ]
  asked = prompt.text.removeprefix(HUMAN).removesuffix(ASSISTANT).strip()
  return Thread(asked, texts, 'forum')


def vandalised(text: str, rng) -> str:
  """A text after a vandal; never the same.

  Args:
    text: sentences of a world.
    rng: NumPy generator.
  """
  words, kind = text.split(), int(rng.integers(3))
  place = int(rng.integers(len(words)))
  if kind == 0:
    words.insert(place, pick(rng, tables.INSULTS))
  elif kind == 1:
    words[-1] = (
      pick(rng, [v for v in tables.VALUES if v not in words[-1]]) + '.'
    )
  else:
    order = rng.permutation(len(words))
    words = [words[i] for i in order]
  found = ' '.join(words)
  return found if found != text else f'{found} {pick(rng, tables.INSULTS)}'


def edit(world, rng) -> Thread:
  """An edit that was reverted: sentences after the first, and the vandal's."""
  first, _, text = rules_of(world).plain_text(world, rng).partition('. ')
  texts = [(text, 1), (vandalised(text, rng), 0)]
  return Thread(f'go on. {first}.', texts, 'edits')


def threads(world, rng, share: float) -> Iterator[Thread]:
  """Yields threads without end, edits with probability `share`."""
  while True:
    yield (edit if rng.random() < share else question)(world, rng)
