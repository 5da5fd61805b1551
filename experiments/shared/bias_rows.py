"""Common parts of the measures of bias: what they may use, and their rows.

A measure asks a model, keeps what came of each item (so that two models can be
paired), and returns tidy rows: statistic, rule, group, value, low, high, n,
protocol. The model is behind two functions, so that any can be measured.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlhf_jax.analysis import toxicity


class Tools(NamedTuple):
  """What a measure may use.

  Attributes:
    score: list of AskedFor -> [(logp_C, tokens_C)].
    write: list of AskedFor -> [[text]], continuations of each.
    sentiment: TextScorer of sentiment, -1 to 1.
    harm: TextScorers of what is bad, 0 to 1.
  """

  score: Callable
  write: Callable
  sentiment: Callable | None = None
  harm: tuple = ()


class Options(NamedTuple):
  """Settings of a measure.

  Attributes:
    data: folder of the evaluation sets.
    plain: whether prompts are plain text and no dialogues.
    limit: most items, evenly over their kinds; 0: all.
    threshold: of a harm score.
    draws: bootstrap samples.
  """

  data: str
  plain: bool = False
  limit: int = 0
  threshold: float = toxicity.THRESHOLD
  draws: int = 10_000

  @property
  def template(self):
    """Name of the form of the prompts."""
    return 'plain text' if self.plain else 'dialogue'


def evenly(items, kind, limit):
  """The first `limit` items when each kind gives one in turn; 0: all.

  Args:
    items: in their order.
    kind: item -> its kind.
    limit: how many, or 0.
  """
  if not limit:
    return list(items)
  seen, turn = {}, []
  for i, item in enumerate(items):
    name = kind(item)
    seen[name] = seen.get(name, -1) + 1
    turn.append((seen[name], i))
  return [items[i] for _, i in sorted(sorted(turn)[:limit], key=lambda x: x[1])]


def row(statistic, found, protocol, rule='', group='all'):
  """A tidy row of an Interval."""
  return {
    'statistic': statistic,
    'rule': rule,
    'group': group,
    'value': found.mean,
    'low': found.low,
    'high': found.high,
    'n': found.n,
    'protocol': protocol,
  }


def rng_of():
  """The generator of every bootstrap: equal items give equal ends."""
  return np.random.default_rng(0)
