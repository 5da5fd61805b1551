"""Three ways to learn which of two replies is better, from the same pairs.

    ranked     a scalar head; -log sigmoid(r_good - r_bad)
    binary     the same head; good and bad each by itself, a log loss a sequence
    imitation  the language model; next-token loss on the good reply alone

An imitator ranks replies by their log-probability per token (Askell et al. 2021
rank by the mean, as far as is known; the whole log-probability, which prefers
short replies, is measured beside it). All start from one language model, take
as many pairs in batches of one size, and a rate that falls to zero.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np

from experiments.shared.devices import jit_named, jit_step, spread
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.evals import preference
from rlhf_jax.losses.preference import binary_loss, pairwise_loss
from rlhf_jax.train.objectives import language_objective, preference_objective
from rlhf_jax.train.optimiser import learning_rate_at, make_optimiser
from rlhf_jax.train.steps import init_state, make_step
from rlhf_jax.types import LMBatch, PMHyper

LOSSES = {'ranked': pairwise_loss, 'binary': binary_loss}
METHODS = (*LOSSES, 'imitation')


class Result(NamedTuple):
  """Accuracy of a model on held-out pairs.

  Attributes:
    accuracy: share whose better reply scores higher; a tie counts one half.
    whole: the same by the whole log-probability; NaN where there is none.
  """

  accuracy: float
  whole: float


@functools.cache
def step_program(functions, method, label, b2):
  """Jitted step(state, rows, rng, PMHyper) of a method; donates its state.

  Args:
    functions: `build`'s Model.
    method: of METHODS.
    label: size, for the name of the program.
    b2: of Adam.
  """
  if method == 'imitation':
    objective = language_objective(functions.logits_fn)
  else:
    objective = preference_objective(
      functions.pair_score_fn, shared=True, loss_of=LOSSES[method]
    )
  step = make_step(objective, make_optimiser(b2=b2))
  return jit_step(step, f'{method}_step_{label}', None)


@functools.cache
def score_program(functions, imitates, label):
  """Jitted score(params, rows) -> (better_B, worse_B) of a head.

  Of an imitator -> (whole_B, each_B) of one side.
  """
  if imitates:
    score = preference.make_imitation_score(functions.logits_fn)
    return jit_named(score, f'imitation_score_{label}')
  return jit_named(functions.pair_score_fn, f'pair_score_{label}')


def rows_of(method, pairs, columns):
  """Training rows of a method: SharedPairs, or the good texts as an LMBatch.

  Args:
    method: of METHODS.
    pairs: PairArrays.
    columns: of SharedPairs, the same for all so that one program serves them.
  """
  if method != 'imitation':
    return share_prefix(preference.pair_batch(pairs), columns=columns)
  return texts_of(pairs, 'chosen')


def columns_of(pairs):
  """Columns that the SharedPairs of some PairArrays need."""
  return share_prefix(preference.pair_batch(pairs)).tokens_BT.shape[1]


def texts_of(pairs, side):
  """One side of pairs as an LMBatch: end-of-context is no part of a text."""
  columns = pairs._asdict()
  return LMBatch(
    columns[f'{side}_tokens_NT'],
    columns[f'{side}_length_N'] - 1,
    pairs.prompt_length_N,
  )


def fit(config, base, method, pairs, columns, rate, seed):
  """Parameters after one pass over the pairs.

  Args:
    config: batch_size, warmup, b2.
    base: Base, which is left as it is.
    method: of METHODS.
    pairs: PairArrays.
    columns: of `rows_of`.
    rate: multiple of the learning rate of the base.
    seed: draws the head and the order.
  """
  step = step_program(base.functions, method, base.size, config['b2'])
  rng, params = jax.random.key(seed), base.params
  if method != 'imitation':
    params = params | {'head': base.functions.init_head(rng)}
  tx = make_optimiser(b2=config['b2'])
  state = init_state(spread(params, None), tx)
  batches = Batches(rows_of(method, pairs, columns), config['batch_size'], seed)
  total = len(pairs.kind_N) // config['batch_size']
  for i in range(total):
    now = learning_rate_at(
      i,
      peak=base.rate * rate,
      total=total,
      warmup=int(config['warmup'] * total),
      shape='linear',
    )
    state, _ = step(state, next(batches), rng, PMHyper(now))
  return state.params


def accuracy_on(config, base, method, params, pairs, columns) -> Result:
  """The Result of a model on pairs.

  Args:
    config: eval_batch.
    base: Base.
    method: of METHODS.
    params: of `fit`.
    pairs: PairArrays.
    columns: of `rows_of`.
  """
  imitates, count = method == 'imitation', config['eval_batch']
  score = score_program(base.functions, imitates, base.size)
  if not imitates:
    rows = rows_of(method, pairs, columns)
    sides = preference.score_all(score, params, rows, count)
    return Result(preference.accuracy(*sides), float('nan'))
  better, worse = (
    preference.score_texts(score, params, texts_of(pairs, side), count)
    for side in ('chosen', 'rejected')
  )
  whole, each = zip(better, worse, strict=True)
  return Result(preference.accuracy(*each), preference.accuracy(*whole))


def best(rates, accuracies):
  """The rate of the highest accuracy, of equal ones the smallest.

  NaN, where a fit diverged, is below all.
  """
  value_N = np.nan_to_num(np.asarray(accuracies, float), nan=-1.0)
  return min(np.asarray(rates)[value_N == value_N.max()].tolist())
