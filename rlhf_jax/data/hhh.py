r"""The HHH alignment comparisons of Askell et al. 2021. For evaluation only.

    DIR/hhh_alignment/{harmless,helpful,honest,other}.json.gz

Files of BIG-bench with its canary: they are never to be trained on, so nothing
but `experiments.evaluate_hhh` reads them.
"""

import json
from pathlib import Path
from typing import NamedTuple

from rlhf_jax.data.faults import DataError
from rlhf_jax.data.file_rows import read_gzip
from rlhf_jax.text.dialogue import ASSISTANT, HUMAN

CATEGORIES = ('harmless', 'helpful', 'honest', 'other')


class Choice(NamedTuple):
  r"""One question with two answers.

  Attributes:
    category: one of CATEGORIES.
    prompt: from '\n\nHuman:' to '\n\nAssistant:'.
    good: the answer that is preferred, as HH has replies: a space first.
    bad: the other.
  """

  category: str
  prompt: str
  good: str
  bad: str


def as_prompt(text: str) -> str:
  r"""An HH prompt of an `input`, whose later turns stand on lines of their own.

  In the files a conversation goes on after '\nAssistant:' and '\nHuman:', with
  or without a blank line before it.
  """
  text = text.strip()
  for role in ('Human', 'Assistant'):
    text = text.replace(f'\n\n{role}:', f'\n{role}:')
    text = text.replace(f'\n{role}:', f'\n\n{role}:')
  text = text.removesuffix(ASSISTANT)
  if not text.startswith(HUMAN.strip()):
    text = f'Human: {text}'
  return f'\n\n{text}{ASSISTANT}'


def read_hhh(folder) -> list[Choice]:
  """All comparisons under `folder`, by category.

  Raises:
    DataError: if a file is missing or broken, or an item is no comparison of
      one good answer with one bad one.
  """
  found = []
  for category in CATEGORIES:
    file = Path(folder) / 'hhh_alignment' / f'{category}.json.gz'
    try:
      examples = json.loads(read_gzip(file))['examples']
      found += [_choice(category, item) for item in examples]
    except FileNotFoundError:
      raise DataError(
        f'{file} is missing: set --config.data.path to the folder that holds '
        'hhh_alignment'
      ) from None
    except DataError:
      raise
    except (OSError, ValueError, KeyError, TypeError) as error:
      raise DataError(
        f'{file}: wanted a BIG-bench task of comparisons, got another file '
        f'({error}); copy it again'
      ) from error
  return found


def _choice(category, item):
  by_score = {score: answer for answer, score in item['target_scores'].items()}
  if len(item['target_scores']) != 2 or sorted(by_score) != [0, 1]:
    raise ValueError(f'answers scored {list(item["target_scores"].values())}')
  good, bad = (f' {by_score[score].strip()}' for score in (1, 0))
  return Choice(category, as_prompt(item['input']), good, bad)
