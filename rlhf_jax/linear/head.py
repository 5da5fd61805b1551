"""A linear head on pooled features, and how it is fitted to pairs.

    score = a(reply) + p(prompt) b(reply)
    a, b  = linear functions of the pooled features of the reply
    p     = sigmoid of one of those of the prompt: P(red-team | prompt)

Without a condition b is 0. With one the head can mean opposite things for the
two kinds of prompt, which no linear function of the reply can. Only differences
within a prompt are fitted, so p never decides between two prompts.

Pooled features are [N, P, L, D]: ways to pool, layers, width. What a fit reads
of them are blocks (pool, layer).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from rlhf_jax.linear import logistic
from rlhf_jax.linear.blocks import columns, place, placed, spread
from rlhf_jax.linear.folds import grouped_folds

LAST, MEAN = 0, 1  # ways to pool
ROUGH = 3e-4  # scaled gradient at which a fit ends that only helps to choose


class Head(NamedTuple):
  """Weights on raw features; those of blocks that are not read are 0.

  Attributes:
    weight_CPLD: of a and b.
    offset_C: of a and b.
    gate_PLD: of the logit of p.
    gate_offset: its offset, [].
  """

  weight_CPLD: np.ndarray
  offset_C: np.ndarray
  gate_PLD: np.ndarray
  gate_offset: np.ndarray


class Settings(NamedTuple):
  """Choices that a fit has.

  Attributes:
    candidates: tuple of tuples of blocks (pool, layer), by their numbers.
    l2s: penalties on weights of features with standard deviation 1.
    folds: of the conversations of the training pairs.
    conditional: whether there is a b.
    gate: blocks of the prompt that p reads.
  """

  candidates: tuple
  l2s: tuple
  folds: int = 3
  conditional: bool = False
  gate: tuple = ()


class Choice(NamedTuple):
  """Blocks and penalty that the folds have chosen.

  Attributes:
    blocks: of the candidates.
    l2: penalty.
    loss: its mean negative log-likelihood on held-out folds, nats a pair;
      that of a coin is log 2.
    gate_accuracy: of p on held-out folds; NaN without a condition.
  """

  blocks: tuple
  l2: float
  loss: float
  gate_accuracy: float


def candidates_of(pools, n_layers: int, joint: int) -> tuple:
  """Sets of blocks: the last token of the top layer, means of neighbours.

  Args:
    pools: of 'last' and 'mean'.
    n_layers: how many layers are stored.
    joint: most neighbouring layers whose means are read together.

  Raises:
    ValueError: if there is nothing to choose from.
  """
  if not pools or not {*pools} <= {'last', 'mean'} or joint < 1:
    raise ValueError(
      "wanted head.pools of 'last' and 'mean' and head.joint of 1 or more, got "
      f'{tuple(pools)} and {joint}'
    )
  found = [((LAST, n_layers - 1),)] if 'last' in pools else []
  if 'mean' in pools:
    for size in range(1, min(joint, n_layers) + 1):
      for first in range(n_layers - size + 1):
        found.append(tuple((MEAN, first + i) for i in range(size)))
  return tuple(found)


def zero_head(n_pools: int, n_layers: int, width: int) -> Head:
  """A head that scores 0."""
  shape = n_pools, n_layers, width
  return Head(np.zeros((2, *shape)), np.zeros(2), np.zeros(shape), np.zeros(()))


def score(head: Head, prompt_NPLD, reply_NPLD):
  """score_N = a + p b, log-odds; arrays of NumPy or of JAX.

  Args:
    head: Head, of arrays of the same library.
    prompt_NPLD: pooled features of the prompts.
    reply_NPLD: of the replies.
  """
  xp = reply_NPLD.__array_namespace__()
  dot = lambda x_NPLD, weight_PLD: xp.tensordot(x_NPLD, weight_PLD, 3)
  logit_N = dot(prompt_NPLD, head.gate_PLD) + head.gate_offset
  p_N = 1.0 / (1.0 + xp.exp(-logit_N))
  a_N, b_N = (
    dot(reply_NPLD, head.weight_CPLD[c]) + head.offset_C[c] for c in (0, 1)
  )
  return a_N + p_N * b_N


def fit(pooled_N3PLD, kind_N, group_N, settings: Settings, rng, centres=None):
  """(Head, Choice) of pairs, everything chosen on folds of these alone.

  Features are divided by their standard deviation over the replies. Blocks and
  penalty are those with the least held-out loss over folds that share no
  conversation. With a condition, p of a training pair is of a gate that was
  fitted on the other folds, as p of a new prompt will be.

  Args:
    pooled_N3PLD: of prompt, chosen and rejected reply.
    kind_N: 0 helpful, 1 harmless (red-team).
    group_N: conversation of each pair.
    settings: Settings.
    rng: NumPy generator, of the folds.
    centres: {blocks: Head} of all candidates, of `fit_each` on other pairs: the
      penalty pulls weights to theirs, in place of 0.

  Raises:
    ValueError: if a head with a condition has centres.
  """
  if centres and settings.conditional:
    raise ValueError('wanted centres of a head without a condition')
  fold_N = grouped_folds(group_N, settings.folds, rng)
  gate, p_N, right = None, np.zeros(len(fold_N)), np.nan
  if settings.conditional:
    gate, p_N = _fit_gate(pooled_N3PLD, kind_N, fold_N, settings)
    right = float(np.mean((p_N > 0.5) == (np.asarray(kind_N) > 0)))
  parts = 2 if settings.conditional else 1
  options = settings.l2s, fold_N, p_N, parts
  about = {
    blocks: placed(centres[blocks].weight_CPLD[0], blocks) if centres else None
    for blocks in settings.candidates
  }
  tried = [
    (*_least_loss(pooled_N3PLD, blocks, *options, centre_K), blocks)
    for blocks, centre_K in about.items()
  ]
  loss, l2, blocks = min(tried, key=lambda found: found[0])
  design = _design(pooled_N3PLD, blocks)
  weight_K = logistic.fit(
    _conditioned(design[0], p_N, parts),
    l2,
    centre_K=_scaled(about[blocks], design[2]),
  )
  shape = pooled_N3PLD.shape[2:]
  head = _raw_head(shape, settings, blocks, design, weight_K, gate)
  return head, Choice(blocks, l2, loss, right)


def fit_each(pooled_N3PLD, kind_N, group_N, settings: Settings, seed):
  """{blocks: (Head, Choice)}: `fit` of each candidate by itself.

  Args:
    pooled_N3PLD: as of `fit`, and so are the next three.
    kind_N: as there.
    group_N: as there.
    settings: as there.
    seed: of the folds, the same for all candidates.
  """
  return {
    blocks: fit(
      pooled_N3PLD,
      kind_N,
      group_N,
      settings._replace(candidates=(blocks,)),
      np.random.default_rng(seed),
    )
    for blocks in settings.candidates
  }


def _scaled(centre_K, deviation_K):
  """The centre on scaled features; None without one."""
  return None if centre_K is None else centre_K * deviation_K


def _side(pooled_N3PLD, text, blocks):
  """Features of one text: [N, K] float64."""
  return columns(pooled_N3PLD[:, text], blocks)


def _design(pooled_N3PLD, blocks):
  """(difference_NK of scaled features, mean_K, deviation_K of the replies)."""
  chosen_NK, rejected_NK = (_side(pooled_N3PLD, i, blocks) for i in (1, 2))
  both = np.concatenate([chosen_NK, rejected_NK])
  deviation_K = spread(both)
  difference_NK = (chosen_NK - rejected_NK) / deviation_K
  return difference_NK, both.mean(0), deviation_K


def _conditioned(difference_NK, p_N, parts):
  """Differences of (1) or of (1, p) times the features."""
  if parts == 1:
    return difference_NK
  return np.hstack([difference_NK, p_N[:, None] * difference_NK])


def _least_loss(pooled_N3PLD, blocks, l2s, fold_N, p_N, parts, centre_K):
  """(held-out loss, penalty) of the best penalty for some blocks."""
  total = dict.fromkeys(l2s, 0.0)
  for fold in np.unique(fold_N):
    inside_N = fold_N != fold
    difference_NK, _, deviation_K = _design(pooled_N3PLD[inside_N], blocks)
    train_NK = _conditioned(difference_NK, p_N[inside_N], parts)
    held = pooled_N3PLD[~inside_N]
    held_NK = (_side(held, 1, blocks) - _side(held, 2, blocks)) / deviation_K
    held_NK = _conditioned(held_NK, p_N[~inside_N], parts)
    about_K = _scaled(centre_K, deviation_K)
    for l2, weight_K in logistic.path(
      train_NK, sorted(l2s, reverse=True), ROUGH, about_K
    ):
      total[l2] += logistic.loss(weight_K, held_NK)[0] * len(held_NK)
  l2 = min(total, key=total.get)
  return total[l2] / len(fold_N), l2


def _fit_gate(pooled_N3PLD, kind_N, fold_N, settings):
  """((gate_K, offset) on raw features of all prompts, cross-fitted p_N)."""
  x_NK = _side(pooled_N3PLD, 0, settings.gate)
  kind_N, found = np.asarray(kind_N), []
  for l2 in settings.l2s:
    logit_N = np.zeros(len(fold_N))
    for fold in np.unique(fold_N):
      inside_N = fold_N != fold
      weight_K, offset = _gate(x_NK[inside_N], kind_N[inside_N], l2, ROUGH)
      logit_N[~inside_N] = x_NK[~inside_N] @ weight_K + offset
    sign_N = np.where(kind_N > 0, 1.0, -1.0)
    loss = np.logaddexp(0.0, -sign_N * logit_N).mean()
    found.append((loss, l2, logit_N))
  _, l2, logit_N = min(found, key=lambda one: one[0])
  return _gate(x_NK, kind_N, l2), expit(logit_N)


def _gate(x_NK, kind_N, l2, gradient=logistic.GRADIENT):
  """(weight_K, offset) on raw features, fitted on scaled ones."""
  mean_K, deviation_K = x_NK.mean(0), spread(x_NK)
  scaled_NK = (x_NK - mean_K) / deviation_K
  weight_K, offset = logistic.fit_classes(scaled_NK, kind_N, l2, gradient)
  weight_K = weight_K / deviation_K
  return weight_K, offset - mean_K @ weight_K


def _raw_head(shape, settings, blocks, design, weight_K, gate):
  """The Head on raw features, by which an average reply scores 0.

  Args:
    shape: (P, L, D).
    settings: Settings, whose blocks the gate reads.
    blocks: of the replies.
    design: of `_design`.
    weight_K: on scaled features, of a and then of b.
    gate: of `_fit_gate`, or None.
  """
  head, (_, mean_K, deviation_K) = zero_head(*shape), design
  parts = weight_K.reshape(-1, len(mean_K)) / deviation_K
  for c, raw_K in enumerate(parts):
    place(head.weight_CPLD[c], blocks, raw_K)
    head.offset_C[c] = -mean_K @ raw_K
  if gate is None:
    return head
  place(head.gate_PLD, settings.gate, gate[0])
  return head._replace(gate_offset=np.array(gate[1]))
