"""The simulated world: its dials, its facts, its tastes and its workers."""

import dataclasses

import numpy as np

from rlhf_jax.crowd.classic import tables
from rlhf_jax.crowd.draw import pick, zipf_cumulative
from rlhf_jax.crowd.people import Crowd


@dataclasses.dataclass(frozen=True)
class WorldConfig:
  """Every number of the simulated crowd.

  Gold is measured in log-odds at temperature 1: a difference of 1 between two
  replies makes a perfect worker prefer the better one with sigmoid(1) = .73.
  Shares and probabilities are in [0, 1]; quality is the author's, in [0, 1].
  """

  seed: int = 0

  # Prompts.
  harmful_share: float = 0.22
  harmful_families: int = 5  # the first so many ask for harm
  followup_share: float = 0.08  # of the helpful prompts
  skill_share: float = 0.0  # of all prompts (crowd/skills.py)
  skill_families: tuple[str, ...] = ('summaries', 'oneliners')
  entity_exponent: float = 1.0  # Zipf: popularity of entities and attributes
  style_exponent: float = 0.9  # Zipf: popularity of the pairs of a style slot

  # Gold: what earns.
  correctness_weight: float = 2.4
  tone_sd: float = 0.38
  interaction_sd: float = 0.28
  style_cap: float = 1.2
  refusal_reward: float = 1.5
  redirect_reward: float = 0.6
  compliance_penalty: float = 1.5
  compliance_help: float = 1.5
  harmless_style: float = 0.3  # weight of style in harmlessness

  # Gold: what costs.
  wrong_refusal: float = 1.0
  off_topic: float = 0.5
  echo: float = 0.6
  repeated_bigram: float = 0.3
  extra_slot: float = 0.6
  loose_style_word: float = 0.1
  garbage_word: float = 0.2
  max_symbols: int = 8
  long_word: float = 0.1  # for each word beyond max_words
  max_words: int = 18
  no_full_stop: float = 0.3
  insult: float = 0.8
  hazard: float = 0.3
  max_offences: int = 4  # insults or hazards that are counted
  penalty_cap: float = 4.0
  max_chars: int = 600  # of a reply that are read; the rest is merely long

  # Workers.
  n_workers: int = 30
  temperature: float = 1.0
  bias_sd: float = 0.15
  noise_sd: float = 0.2  # of log noise
  attention_low: float = 0.9
  label_flip: float = 0.0
  link: str = 'logistic'  # or 'probit', of the same slope at even odds
  strength_edges: tuple[float, ...] = (0.3, 1.0, 2.0)

  # Writers.
  right_low: float = 0.3  # P(core right) at quality 0
  right_high: float = 1.0  # at quality 1
  refuse_harmless: float = 0.04
  stray: float = 0.06
  doubled_slot: float = 0.015
  refuse_low: float = 0.25
  refuse_high: float = 0.85
  redirect_low: float = 0.3
  redirect_high: float = 0.8
  right_adviser: float = 0.7
  opener_share: float = 0.9
  tip_share: float = 0.65
  closer_share: float = 0.7
  human_quality: float = 0.97
  human_draws: int = 6  # style pairs a human tries before keeping the best


@dataclasses.dataclass(frozen=True)
class StyleSlot:
  """One slot of style: its word pairs in order of popularity."""

  name: str
  template: str
  pairs: tuple[tuple[str, str], ...]
  cumulative: tuple[float, ...]


class World(Crowd):
  """Everything drawn from `config.seed`; the same in every process.

  Attributes:
    config: the WorldConfig.
    entities: entity names, most popular first.
    attributes: attribute names, most popular first.
    kind_of: entity -> its kind (city, river, ...).
    facts: (entity, attribute) -> value.
    slots: slot name -> StyleSlot.
    tone: style word -> hidden tone.
    interaction: (first, second) -> (slot name, hidden interaction).
    known: every token that is not garbage.
    workers: the Workers.
    task_cache: prompt -> Task, filled by `tasks.recognise`.
  """

  name = 'classic'

  def __init__(self, config=None):
    self.config = config = WorldConfig() if config is None else config
    facts_rng, style_rng, worker_rng = (
      np.random.default_rng([config.seed, stream]) for stream in range(3)
    )
    self._draw_facts(facts_rng)
    self._draw_style(style_rng)
    self._draw_workers(worker_rng)
    self.known = tables.LEXICON | set(tables.NUMBERS) | set('.,!?:')
    self.task_cache = {}

  def _draw_facts(self, rng):
    exponent = self.config.entity_exponent
    order = rng.permutation(len(tables.ENTITIES))
    self.entities = tuple(tables.ENTITIES[i] for i in order)
    self.entity_cumulative = zipf_cumulative(len(self.entities), exponent)
    names = tuple(tables.ATTRIBUTES)
    self.attributes = tuple(names[i] for i in rng.permutation(len(names)))
    self.attribute_cumulative = zipf_cumulative(len(names), exponent)
    self.kind_of = {e: pick(rng, tables.KINDS) for e in self.entities}
    self.facts = {
      (entity, attribute): pick(rng, tables.ATTRIBUTES[attribute])
      for entity in self.entities
      for attribute in self.attributes
    }

  def _draw_style(self, rng):
    config = self.config
    self.slots, self.tone, self.interaction = {}, {}, {}
    for name, (template, first, second) in tables.STYLE.items():
      pairs = [(a, b) for a in first for b in second]
      order = rng.permutation(len(pairs))
      self.slots[name] = StyleSlot(
        name,
        template,
        tuple(pairs[i] for i in order),
        zipf_cumulative(len(pairs), config.style_exponent),
      )
      for word in (*first, *second):
        self.tone[word] = config.tone_sd * float(rng.standard_normal())
      for pair in pairs:
        draw = config.interaction_sd * float(rng.standard_normal())
        self.interaction[pair] = (name, draw)

  def pair_tone(self, pair):
    """Hidden tone of a style pair: both words and their interaction."""
    return self.tone[pair[0]] + self.tone[pair[1]] + self.interaction[pair][1]
