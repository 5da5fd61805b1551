"""The records that everything is written through, real data and simulated.

A comparison holds two whole transcripts. They normally differ in the last
Assistant turn only; a few real ones differ earlier (`encode_pairs` counts
them).
"""

import dataclasses
import hashlib
import math

from rlhf_jax.text.dialogue import parse_dialogue, split_reply

KINDS = ('helpful', 'harmless')
TRANCHES = {'helpful': 'helpful-base', 'harmless': 'harmless-base'}


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Two dialogues, one of which a worker preferred.

  Attributes:
    chosen: transcript of the preferred dialogue.
    rejected: transcript of the other.
    source: where the comparison is from, e.g. 'helpful-base/test'.
    prompt_id: `prompt_hash` of the prompt of `chosen`.
    p_label: true probability that `chosen` is preferred; NaN if unknown.
    kind: 'helpful' or 'harmless', the question that the worker was asked.
  """

  chosen: str
  rejected: str
  source: str
  prompt_id: str
  p_label: float = math.nan
  kind: str = 'helpful'


@dataclasses.dataclass(frozen=True)
class RedTeam:
  """One red-team attempt, as in red_team_attempts.jsonl.gz.

  Attributes:
    transcript: the whole dialogue.
    rating: success by the attacker's own rating, 0 (none) to 4.
    model_type: e.g. 'rlhf' or 'rejection sampling'.
    num_params: size of the attacked model as the file writes it, e.g. '52B'.
    task_description: what the attacker set out to do.
    tags: kinds of attack by a reviewer; most attempts have none.
  """

  transcript: str
  rating: float
  model_type: str
  num_params: str
  task_description: str
  tags: tuple[str, ...] = ()


def prompt_hash(prompt: str) -> str:
  """The first 16 hexadecimal digits of the SHA-1 of the prompt."""
  return hashlib.sha1(prompt.encode()).hexdigest()[:16]


def make_comparison(
  chosen: str,
  rejected: str,
  source: str,
  p_label: float = math.nan,
  kind: str = 'helpful',
) -> Comparison:
  """A Comparison with the prompt_id of its chosen transcript.

  Raises:
    DialogueError: if one of the transcripts does not end in an Assistant turn.
  """
  prompt, _ = split_reply(chosen)
  split_reply(rejected)
  return Comparison(
    chosen, rejected, source, prompt_hash(prompt), p_label, kind
  )


def of_conversation(item: Comparison) -> Comparison:
  """The record, its prompt_id being that of the first human turn.

  Several comparisons of one conversation then count as one prompt.
  """
  first = parse_dialogue(item.chosen)[0].text
  return dataclasses.replace(item, prompt_id=prompt_hash(first))
