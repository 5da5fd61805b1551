"""Rankings of many replies to one prompt: trees of people, prefs of a judge.

Trees of Open-Assistant, JSON lines (oasst_en100_trees): messages with replies
in them, whose `rank` among their siblings people have given, 0 the best:

    {"prompt": {"text": ..., "role": "prompter",
                "replies": [{"text", "role": "assistant", "rank", "replies"}]}}

AlpacaEval, JSON lines (alpaca_eval_kwise): replies of models to an instruction,
each with the probability that a judge, itself a model, prefers it to one common
reply. These are labels of a model and of no person, and favour length:

    {"instruction": ..., "responses": [{"model", "text", "pref"}]}
"""

from collections.abc import Iterator

from rlhf_jax.data.faults import DataError, Malformed
from rlhf_jax.data.file_rows import rows_of
from rlhf_jax.data.public.ranked import plain, ranks_of
from rlhf_jax.data.rankings import Ranking, make_ranking
from rlhf_jax.text.dialogue import ASSISTANT, MARKERS

ROLES = {'prompter': 'human', 'assistant': 'assistant'}


def _each(file, make, wanted) -> Iterator[Ranking]:
  """Yields the rankings that `make` finds in each row of a file.

  Raises:
    DataError: at a line that is not as wanted.
  """
  for number, row in rows_of(file):
    try:
      if isinstance(row, Malformed):
        raise ValueError(str(row))
      found = list(make(row))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
      raise DataError(
        f'{file}:{number}: wanted {wanted}, got no good {error}: mend or '
        'delete the line'
      ) from None
    yield from found


def read_trees(file) -> Iterator[Ranking]:
  """Yields every set of two or more replies that people have ranked.

  A prompt is all that was said up to it.

  Raises:
    DataError: at a line that is no tree.
  """
  make = lambda row: _ranked_replies(row['prompt'], '')
  return _each(file, make, 'a prompt with text, role and replies')


def _ranked_replies(message, before):
  """Rankings among the replies to a message and to all that follow it."""
  said = f'{MARKERS[ROLES[message["role"]]]} {plain(message["text"])}'
  said, answers = before + said, message['replies']
  known = [x for x in answers if x.get('rank') is not None]
  if message['role'] == 'prompter' and len(known) > 1:
    replies = [f' {plain(x["text"])}' for x in known]
    ranks = [x['rank'] for x in known]
    yield make_ranking(said + ASSISTANT, replies, ranks, 'oasst')
  for answer in answers:
    yield from _ranked_replies(answer, said)


def read_prefs(file) -> Iterator[Ranking]:
  """Yields the replies to each instruction, ranked by `pref`.

  Entries that were made to fool the judge stand apart in the file, and are left
  out.

  Raises:
    DataError: at a line that is no such instruction.
  """
  return _each(file, _by_pref, 'an instruction with responses of text and pref')


def _by_pref(row):
  """The one ranking of a row."""
  answers = row['responses']
  prompt = f'{MARKERS["human"]} {plain(row["instruction"])}{ASSISTANT}'
  replies = [f' {plain(x["text"])}' for x in answers]
  ranks = ranks_of([float(x['pref']) for x in answers])
  yield make_ranking(prompt, replies, ranks, 'alpaca_eval')
