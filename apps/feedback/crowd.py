"""A worker of a simulated world in front of the page: what they say and choose.

Messages are the world's prompts; after a reply a worker talks on as its users
do. Choices have the world's odds, with the bias, the noise and the attention of
the worker; strengths are the world's. Everything is drawn from a seed, the
number of the worker and how many replies they have compared, so that a worker
who is stopped goes on with the same words.
"""

import dataclasses

import numpy as np

from rlhf_jax.crowd import users, workers
from rlhf_jax.crowd.prompt import Prompt
from rlhf_jax.crowd.worlds import rules_of
from rlhf_jax.text.dialogue import (
  ASSISTANT,
  Turn,
  format_dialogue,
  last_human_turn,
)

KINDS = {'helpful': 'helpful', 'red_team': 'harmful'}  # of prompts
LABELS = {'helpful': 'helpful', 'red_team': 'harmless'}  # of gold scores
BAD = users.SATISFIED  # gold below which a reply is bad
RATED = (-1.0, 0.0, 1.0)  # gold at which a rating rises
SAY, CHOOSE, FINISH = 0, 1, 2  # which draw


@dataclasses.dataclass(frozen=True)
class Simulated:
  """A worker.

  Attributes:
    world: a World.
    number: of the worker; beyond those of the world they begin again.
    seed: of everything that is drawn.
    rewrites: share of the pairs of two bad replies of which a better one is
      written.
  """

  world: object
  number: int
  seed: int = 0
  rewrites: float = 0.05

  @property
  def person(self):
    """The Worker of the world."""
    return self.world.workers[self.number % len(self.world.workers)]

  def _rng(self, what, compared):
    return np.random.default_rng([self.seed, self.number, compared, what])

  def message(self, state, compared: int) -> str:
    """What the worker says next.

    Args:
      state: of the page, as routes.py describes it.
      compared: how many pairs they have compared.
    """
    if state['opening']:
      return state['opening']
    rng = self._rng(SAY, compared)
    kind = KINDS[state['task']]
    if not state['messages']:
      new = rules_of(self.world).sample_prompt(self.world, rng, kind=kind)
      return last_human_turn(new.text)
    *before, reply = state['messages']
    prompt = self._prompt(before, state['task'])
    said = f' {reply["text"]}'
    return last_human_turn(
      users.next_prompt(self.world, rng, prompt, said).text
    )

  def choice(self, state, compared: int) -> dict[str, str]:
    """Fields of the form of a choice: a box, or a rewrite.

    Args: as of `message`.
    """
    rng = self._rng(CHOOSE, compared)
    prompt = self._prompt(state['messages'], state['task'])
    first, second = (f' {reply["text"]}' for reply in state['replies'])
    gold_a, gold_b = (
      workers.score_reply(self.world, prompt.text, x, LABELS[state['task']])
      for x in (first, second)
    )
    worse = state['direction'] == 'worse'
    # Who looks for the worse reply is biased the other way round.
    asked = 'harmless' if worse else 'helpful'
    p = workers.worker_probability(
      self.world, self.person, asked, gold_a, gold_b
    )
    better_is_a = bool(rng.random() < p)
    if max(gold_a, gold_b) < BAD and rng.random() < self.rewrites:
      written = rules_of(self.world).human_reply(self.world, rng, prompt)
      of = 'a' if better_is_a else 'b'
      return {'action': 'rewrite', 'rewrite': written.strip(), 'rewrite_of': of}
    level = workers.strength(self.world, gold_a, gold_b)
    picks_a = better_is_a != worse
    return {'box': str(5 - level if picks_a else 4 + level)}

  def ending(self, state, compared: int) -> dict[str, str]:
    """Fields of the form that ends a conversation.

    Args: as of `message`.
    """
    *before, reply = state['messages']
    if reply['role'] != 'assistant' or not before:
      return {'rating': '1', 'comment': ''}
    prompt = self._prompt(before, state['task'])
    gold = workers.score_reply(
      self.world, prompt.text, f' {reply["text"]}', LABELS[state['task']]
    )
    return {'rating': str(1 + sum(gold > x for x in RATED)), 'comment': ''}

  def wants_more(self, state, compared: int) -> bool:
    """Whether the worker talks on where a conversation may end."""
    left = state['turns'] - state['turn'] + 1
    return bool(self._rng(FINISH, compared).random() < left / (left + 1))

  def _prompt(self, messages, task) -> Prompt:
    """The conversation so far, up to the Assistant's marker."""
    turns = [Turn(x['role'], f' {x["text"]}') for x in messages]
    text = format_dialogue(turns) + ASSISTANT
    found = users.prompt_of(self.world, text)
    return dataclasses.replace(found, kind=KINDS[task])
