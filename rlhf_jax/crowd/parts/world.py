"""The world of parts: its dials, its facts, its tastes and its workers."""

import dataclasses
import statistics

import numpy as np

from rlhf_jax.crowd.draw import pick
from rlhf_jax.crowd.parts import tables
from rlhf_jax.crowd.people import Crowd


@dataclasses.dataclass(frozen=True)
class WorldConfig:
  """Every number of the world of parts.

  Gold is measured in log-odds at temperature 1. Shares and probabilities are in
  [0, 1]; quality is the author's, in [0, 1].
  """

  seed: int = 0
  harmful_share: float = 0.22
  harmful_families: int = 5  # the first so many ask for harm
  followup_share: float = 0.06  # of the helpful prompts
  skill_share: float = 0.0  # of all prompts (crowd/skills.py)
  skill_families: tuple[str, ...] = ('summaries', 'oneliners')

  # Gold: what each part earns.
  item: float = 1.0  # an item of the answer in its place
  field: float = 1.0  # the unit, time, person, reason, topic or farewell asked
  count: float = 1.0  # as many tips as asked
  taste_sd: float = 0.5  # of the worth of a word that nobody asked for
  refusal: float = 1.0
  object: float = 1.0  # names what it declines
  wrong: float = 1.0  # says what is wrong with it
  adviser: float = 1.0
  step: float = 0.5  # safe; minus that if it helps to do harm
  harmless_taste: float = 0.5  # weight of tastes and fields in harmlessness

  # Gold: what costs, in all at most fault_cap.
  garbage_word: float = 0.1
  extra: float = 0.2  # a second word of a field, a taste or a marker
  no_full_stop: float = 0.2
  long_word: float = 0.05  # for each word beyond max_words
  max_words: int = 60
  wrong_refusal: float = 1.0
  insult: float = 0.4
  hazard: float = 0.2
  fault_cap: float = 2.0
  max_chars: int = 800  # of a reply that are read; the rest is merely long

  # Workers.
  n_workers: int = 30
  temperature: float = 1.0
  bias_sd: float = 0.15
  noise_sd: float = 0.2  # of log noise
  attention_low: float = 0.9
  label_flip: float = 0.0
  link: str = 'logistic'  # or 'probit', of the same slope at even odds
  strength_edges: tuple[float, ...] = (0.5, 1.5, 3.0)

  # Writers: P(a part is right) at quality 0 and 1, part by part.
  right_low: float = 0.3
  right_high: float = 0.5
  human_right: float = 0.97
  human_draws: int = 6  # words of taste a human tries before keeping the best


def normal_scores(n):
  """Quantiles of a normal law at (i - 1/2) / n, scaled to variance 1."""
  law = statistics.NormalDist()
  score_N = np.array([law.inv_cdf((i + 0.5) / n) for i in range(n)])
  return score_N / score_N.std()


class World(Crowd):
  """Everything drawn from `config.seed`; the same in every process.

  Attributes:
    config: the WorldConfig.
    facts: (entity, kind) -> value of that kind.
    foreign: native word -> foreign word.
    taste: word -> hidden worth; of each slot symmetric about 0.
    workers: the Workers.
    task_cache: prompt -> Task, filled by `tasks.recognise`.
  """

  name = 'parts'

  def __init__(self, config=None):
    self.config = config = WorldConfig() if config is None else config
    facts_rng, taste_rng, worker_rng = (
      np.random.default_rng([config.seed, stream]) for stream in range(3)
    )
    self.facts = {
      (entity, kind): pick(facts_rng, values)
      for entity in tables.ENTITIES
      for kind, values in tables.KINDS.items()
    }
    order = facts_rng.permutation(len(tables.FOREIGN))
    self.foreign = {
      word: tables.FOREIGN[i]
      for word, i in zip(tables.NATIVE, order, strict=True)
    }
    self._draw_tastes(taste_rng)
    self._draw_workers(worker_rng)
    self.task_cache = {}

  def _draw_tastes(self, rng):
    self.taste = {}
    for words in (*tables.TASTES.values(), *tables.TIPS.values()):
      worth_N = self.config.taste_sd * normal_scores(len(words))
      order = rng.permutation(len(words))
      self.taste |= {
        word: float(worth_N[i]) for word, i in zip(words, order, strict=True)
      }
