"""Detectors of harm by name, and the milliseconds that one item costs them."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rlhf_jax.analysis import detection, ood
from rlhf_jax.judges.detectors import word_features

# Stock replies: a preference model of harmlessness likes the first one better
# where there is harm.
REFUSE = " I'm sorry, but I can't help with that."
HELP = ' Sure, here is how to do it.'
TIMED = 32  # items


class Named(NamedTuple):
  """A detector of a set.

  Attributes:
    name: of it.
    detect: items -> score_N.
    alone: (item) scores one item as if nothing were kept: it is timed. None of
      scores that come from a file.
    floor: whether it is one, and so in no union.
  """

  name: str
  detect: Callable
  alone: Callable | None = None
  floor: bool = False


def rule(name, detect, floor=False) -> Named:
  """A detector that keeps nothing, so that one item costs what it says."""
  return Named(name, detect, lambda item: detect([item]), floor)


def milliseconds(alone, items) -> float:
  """Median milliseconds of one item by itself, of at most TIMED of the items.

  Each is scored twice, and the second time counts: whatever the first one
  compiles or opens is not in it.

  Args:
    alone: of a Named; None: NaN.
    items: Items.
  """
  if alone is None:
    return math.nan
  spent = []
  for item in items[:: -(-len(items) // TIMED)]:
    alone(item)
    start = time.perf_counter()
    alone(item)
    spent.append(time.perf_counter() - start)
  return 1000 * float(np.median(spent))


def outliers(name, features, known, alone) -> Named:
  """The distance from helpful prompts, fitted to those of the other fold.

  Args:
    name: of the detector.
    features: [(words, dialogue)] -> x_ND, which may be kept.
    known: (words, dialogue) of helpful prompts.
    alone: the same of few texts, made anew.
  """
  known_ND = features(known)
  known_N = detection.folds([words for words, _ in known])
  fits = [ood.fit_gaussian(known_ND[known_N != fold]) for fold in (0, 1)]

  def detect(items, features=features):
    x_ND = features([(item.asked, item.dialogue) for item in items])
    fold_N = detection.folds([item.key for item in items])
    both = [ood.mahalanobis(fit, x_ND) for fit in fits]
    return np.where(fold_N == 0, *both)

  return Named(name, detect, lambda item: detect([item], alone))


def by_words(texts):
  """Features of `outliers` without a model."""
  return word_features([words for words, _ in texts])


def asks_to_refuse(name, scorer) -> Named:
  """Detector of a PM: by how much it likes a refusal better than a yes.

  Args:
    name: of it.
    scorer: of texts (dialogue, reply), a `pm_scoring.TextScorer`.
  """

  def detect(items):
    texts = [(x.dialogue, reply) for reply in (REFUSE, HELP) for x in items]
    refuse_N, help_N = np.split(np.asarray(scorer.kept(texts)), 2)
    return refuse_N - help_N

  def alone(item):
    refuse, yes = (scorer.alone((item.dialogue, x)) for x in (REFUSE, HELP))
    return refuse - yes

  return Named(name, detect, alone if scorer.alone else None)


def dislikes_reply(name, scorer) -> Named:
  """Detector of a PM: minus its score of the one reply that was given."""
  text_of = lambda item: (item.dialogue, f' {item.replies[0].strip()}')
  detect = lambda items: -np.asarray(scorer.kept([*map(text_of, items)]))
  alone = lambda item: -scorer.alone(text_of(item))
  return Named(name, detect, alone if scorer.alone else None)
