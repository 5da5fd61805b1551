"""Linear heads on pooled features: settings of a config, fits, cross-fits."""

from typing import NamedTuple

import numpy as np

from experiments.shared.sources import SUBSETS
from rlhf_jax.data.pairs import PairArrays
from rlhf_jax.data.subsets import subset_of
from rlhf_jax.linear import head
from rlhf_jax.linear.folds import first_groups, grouped_folds

# Kinds of pairs that a model is trained on, and whether it asks for the kind.
MODELS = {
  'helpful': ('helpful', False),
  'harmless': ('harmless', False),
  'mix': ('mix', False),
  'conditional': ('mix', True),
}


class Data(NamedTuple):
  """Pairs as a head reads them.

  Attributes:
    pooled_N3PLD: of prompt, chosen and rejected reply.
    kind_N: 0 helpful, 1 harmless.
    group_N: conversation of each pair.
  """

  pooled_N3PLD: np.ndarray
  kind_N: np.ndarray
  group_N: np.ndarray

  def take(self, rows) -> 'Data':
    """Some rows."""
    return Data(*(column[rows] for column in self))


class Scored(NamedTuple):
  """A model's scores of held-out pairs.

  Attributes:
    rows: numbers of the pairs.
    chosen_N: scores of their preferred replies, log-odds.
    rejected_N: of the others.
    pairs: that it was trained on.
    choice: `head.Choice`.
  """

  rows: np.ndarray
  chosen_N: np.ndarray
  rejected_N: np.ndarray
  pairs: int
  choice: head.Choice


def settings_of(config, n_layers, conditional) -> head.Settings:
  """The Settings of a config's `head`.

  A gate reads the mean over the prompt at the middle one of the layers.

  Args:
    config: its section `head`: pools, joint, l2, folds.
    n_layers: how many layers are stored.
    conditional: of `head.Settings`.
  """
  return head.Settings(
    candidates=head.candidates_of(config['pools'], n_layers, config['joint']),
    l2s=tuple(config['l2']),
    folds=config['folds'],
    conditional=conditional,
    gate=((head.MEAN, (n_layers - 1) // 2),),
  )


def both_sides(pairs) -> PairArrays:
  """All pairs of a `comparisons.Pairs`, those held out behind the others.

  Conversations are numbered on, since the sides share none.
  """
  train, test = pairs.train, pairs.test
  after = train.prompt_index_N.max(initial=-1) + 1
  test = test._replace(prompt_index_N=test.prompt_index_N + after)
  return PairArrays(*map(np.concatenate, zip(train, test, strict=True)))


def ranked_data(rankings, prompt_NPLD, reply_NCPLD, place_M3) -> Data:
  """Pairs of replies of rankings, grouped by conversation.

  Args:
    rankings: RankingArrays.
    prompt_NPLD: pooled features of their prompts.
    reply_NCPLD: of their replies.
    place_M3: number of the ranking, of the better and of the worse reply.
  """
  row_M, *sides = place_M3.T
  texts = [reply_NCPLD[row_M, reply_M] for reply_M in sides]
  pooled_M3PLD = np.stack([prompt_NPLD[row_M], *texts], 1)
  kind_M, group_M = rankings.kind_N[row_M], rankings.prompt_index_N[row_M]
  return Data(pooled_M3PLD, kind_M, group_M)


def fold_of(config, data, draw) -> np.ndarray:
  """The fold of each pair in one draw of the conversations.

  Args:
    config: seed, folds.
    data: Data.
    draw: its number.
  """
  rng = np.random.default_rng([config['seed'], draw])
  return grouped_folds(data.group_N, config['folds'], rng)


def crossed(config, data, draw, fold):
  """Yields (model, pairs asked for, Scored) of all fits of one fold.

  Models are trained on the other folds, on as many pairs as asked for and, 0,
  on all of them; smaller numbers of pairs are parts of larger ones. Trained on
  all or on shares, a model scores both kinds; else, those it was trained on.

  Args:
    config: seed, folds, models, pairs, head.
    data: Data.
    draw: number of the draw of folds.
    fold: which is held out.
  """
  fold_N = fold_of(config, data, draw)
  n_layers = data.pooled_N3PLD.shape[3]
  for name in config['models']:
    subset, conditional = MODELS.get(name, (name, False))
    settings = settings_of(config['head'], n_layers, conditional)
    outside_N = fold_N != fold
    for count in (*config['pairs'], 0):
      seed = [config['seed'], draw, fold, *name.encode()]
      rows = rows_of(
        data, subset, outside_N, count, np.random.default_rng(seed)
      )
      if not len(rows):
        continue
      alone = subset in SUBSETS and count
      own_N = np.isin(data.kind_N, SUBSETS[subset]) if alone else True
      held = np.flatnonzero(~outside_N & own_N)
      yield name, count, scored(data, rows, held, settings, seed)


def rows_of(data, subset, outside_N, count, rng) -> np.ndarray:
  """Training rows of a model: whole conversations in a random order.

  Args:
    data: Data.
    subset: one of SUBSETS; or shares such as '30/70' (`data.subsets`), of which
      each kind has its part of the count.
    outside_N: bool, pairs that may be trained on.
    count: of pairs; 0: all there are, and none of shares.
    rng: generator.

  Returns:
    Numbers of rows; none where there are not more than so many.
  """
  if subset in SUBSETS:
    kinds, wanted = [SUBSETS[subset]], [count]
  else:
    shares = subset_of(subset).shares
    kinds = [(kind,) for kind, share in shares.items() if share]
    total = sum(shares.values())
    wanted = [round(count * shares[kind] / total) for (kind,) in kinds]
    if not count:
      return np.zeros(0, int)
  parts = []
  for own, number in zip(kinds, wanted, strict=True):
    inside = np.flatnonzero(np.isin(data.kind_N, own) & outside_N)
    if number >= len(inside):
      return np.zeros(0, int)
    units = number if count else len(inside)
    if units:  # a share of a small count may be none
      parts.append(inside[first_groups(data.group_N[inside], units, rng)])
  return np.concatenate([np.zeros(0, int), *parts])


def scored(data, train, held, settings, seed, centres=None) -> Scored:
  """Fits on some rows, scores others.

  Args:
    data: Data.
    train: numbers of the rows to fit to.
    held: of those to score.
    settings: `head.Settings`.
    seed: list of whole numbers; with the number of rows, of the inner folds.
    centres: of `head.fit`.
  """
  rng = np.random.default_rng([*seed, len(train)])
  found, choice = head.fit(*data.take(train), settings, rng, centres)
  scores = sides(found, data.pooled_N3PLD[held])
  return Scored(held, *scores, len(train), choice)


def sides(found, pooled_N3PLD):
  """(chosen_N, rejected_N): a head's scores of both sides of pairs."""
  prompt, *replies = np.moveaxis(pooled_N3PLD, 1, 0)
  return tuple(head.score(found, prompt, reply) for reply in replies)


def choice_row(choice, layers):
  """A Choice in words and numbers.

  Args:
    choice: head.Choice.
    layers: that are stored.
  """
  ways = ('last', 'mean')
  row = {
    'blocks': ' '.join(f'{ways[p]}-{layers[i]}' for p, i in choice.blocks),
    'l2': choice.l2,
    'inner_loss': choice.loss,
  }
  if np.isfinite(choice.gate_accuracy):
    row['gate_accuracy'] = choice.gate_accuracy
  return row
