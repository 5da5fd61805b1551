"""Preference models of rankings: training, measuring, shifting.

`loss` says what is learned of the K replies to a prompt (docs/kwise.md):

    kwise      all comparisons among them, one row of a batch
    best_of    which of them is the best, one row of a batch
    shuffled   the comparisons of kwise, with its weights and in as many steps,
               each a row of its own, pooled over prompts

Rows of the first two are read in one pass in which each reply stands once.
"""

import functools

import numpy as np

from experiments.shared import compute
from experiments.shared.devices import jit_guarded, jit_of_rows, share_of
from experiments.shared.files import write_csv
from experiments.shared.plans import Plan, steps_of
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.shared import share_candidates, share_prefix
from rlhf_jax.data.subsets import subset_of
from rlhf_jax.evals.preference import pair_batch, score_candidates
from rlhf_jax.losses import preference
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.steps import make_pm_step, make_ranking_step
from rlhf_jax.types import CandidateBatch, SharedCandidates, WeightedPairs

SHUFFLED = 'shuffled'
LOSSES = {
  'kwise': preference.candidates_loss,
  'best_of': preference.best_of_loss,
}
CURVE = 'ranking_curve'


class Candidates:
  """Rankings as rows that hold each reply once."""

  def __init__(self, rankings):
    """Lays them out."""
    fields = rankings.tokens_NCT, rankings.length_NC, rankings.rank_NC
    self.rows = share_candidates(CandidateBatch(*fields))
    self._last = None, None

  def widen(self, other):
    """Gives these and other rows as many columns: one program reads both."""
    T = max(x.rows.tokens_BT.shape[1] for x in (self, other))
    for reader in (self, other):
      rows = reader.rows
      pad = [(0, 0), (0, T - rows.tokens_BT.shape[1])]
      reader.rows = rows._replace(
        tokens_BT=np.pad(rows.tokens_BT, pad),
        segment_BT=np.pad(rows.segment_BT, pad),
      )

  def take(self, index_N) -> SharedCandidates:
    """Some rows."""
    return SharedCandidates(*(column[index_N] for column in self.rows))

  def scores(self, score, both, index_N, batch_size):
    """score_NC of some rows; asked again of the same parameters, the same."""
    if self._last[0] is not both[1]:
      found = score_candidates(score, both, self.take(index_N), batch_size)
      self._last = both[1], found
    return self._last[1]


@functools.cache
def score_program(functions, way, label, mesh):
  """Jitted ((frozen, trained), SharedCandidates) -> score_BC."""

  def score(both, rows):
    return functions.candidate_score_fn(way.attach(*both), rows)

  return jit_of_rows(score, f'candidate_score_{label}', mesh)


@functools.cache
def step_program(
  functions, way, label, loss, b2, microbatches, average_eta, mesh, on_nonfinite
):
  """Jitted step of a loss, as that of `readers.pm_programs`."""
  tx = make_optimiser(b2=b2)
  shared = {'microbatches': microbatches, 'combine': way.attach}
  if loss == SHUFFLED:
    step = make_pm_step(functions.pair_score_fn, tx, shared=True, **shared)
  else:
    score_fn, loss_of = functions.candidate_score_fn, LOSSES[loss]
    step = make_ranking_step(score_fn, tx, loss_of=loss_of, **shared)
  name = f'{loss}_step_{label}'
  return jit_guarded(step, average_eta, on_nonfinite, name, mesh)


def plan_of(config, base, way, mesh, ranked, drawn) -> Plan:
  """The Plan of rankings; `shuffled` takes as many steps as `kwise`.

  Args:
    config: of train_pm.
    base: Base.
    way: Way.
    mesh: of `devices.mesh_from`.
    ranked: Ranked.
    drawn: of `comparisons.drawn_pairs`.
  """
  rows, functions = drawn[2], base.functions
  (train, pairs), (test, _) = (ranked.sides[x] for x in ('train', 'test'))
  prompts = np.unique(pairs.place_M3[rows, 0])
  total = steps_of(config, len(prompts), 'prompts')
  each = len(rows) * config['epochs'] / total
  wide, held = Candidates(train), Candidates(test)
  wide.widen(held)
  own, size = wide.take(prompts), config['batch_size']
  if config['loss'] == SHUFFLED:
    own, size = shuffled_rows(pairs, rows), pairs_of_a_batch(config, each)
  settings = (config[k] for k in ('b2', 'microbatches', 'average_eta'))
  step = step_program(
    *(functions, way, base.size, config['loss']),
    *(*settings, mesh, config['on_nonfinite']),
  )
  score = score_program(functions, way, base.size, mesh)
  measure = Measure(config, score, ranked, (wide, prompts), held)
  length_N = (own.segment_BT > 0).sum(1)
  return Plan(
    batches=Batches(own, size, config['seed'], share=share_of(mesh)),
    rows=rows if config['loss'] == SHUFFLED else prompts,
    total=total,
    pairs=each,
    step=step,
    scores=measure.sides,
    note=lambda run_, step, both: measure.note(run_, step, both, step * each),
    spent=compute.of_rows(config, functions, length_N, total * size),
  )


def shuffled_rows(pairs, rows) -> WeightedPairs:
  """Comparisons as rows of their own, each with its weight in its ranking.

  Args:
    pairs: RankedPairs.
    rows: numbers of those that are wanted.
  """
  found = share_prefix(pair_batch(pairs.pairs.take(rows)))
  return WeightedPairs(*found, pairs.weight_M[rows])


def pairs_of_a_batch(config, each) -> int:
  """Most whole comparisons of a step that microbatches can share.

  Args:
    config: microbatches.
    each: comparisons of a step of `kwise`, on average.
  """
  parts = config['microbatches']
  return max(parts, int(each) - int(each) % parts)


class Measure:
  """Losses and scores of a model on rankings that are held out, and on its own.

  As many of its own are read as are held out.
  """

  def __init__(self, config, score, ranked, train, test):
    """Takes the held-out rankings of the kinds that are trained on.

    Args:
      config: of train_pm.
      score: of `score_program`.
      ranked: Ranked.
      train: (Candidates, numbers of those that are trained on).
      test: Candidates.
    """
    self._config, self._score = config, score
    arrays, pairs = ranked.sides['test']
    kinds = subset_of(config['train_subset']).kinds
    own_N = np.flatnonzero(np.isin(arrays.kind_N, kinds))
    reader, prompts = train
    prompts = prompts[: len(own_N)]
    every = np.arange(len(arrays.kind_N))
    self._sides = {
      'train': (reader, prompts, np.arange(len(prompts))),
      'test': (test, every, own_N),
    }
    self._place_M3 = pairs.place_M3

  def _scores(self, split, both):
    """score_NC of one side, all that are read of it."""
    reader, index_N, _ = self._sides[split]
    args = self._score, both, index_N, self._config['eval_batch']
    return reader.scores(*args)

  def sides(self, both, count):
    """(chosen_M, rejected_M) of the first `count` held-out comparisons."""
    score_NC = self._scores('test', both)
    row_M, good_M, bad_M = self._place_M3[:count].T
    return score_NC[row_M, good_M], score_NC[row_M, bad_M]

  def note(self, run_, step, both, seen):
    """Logs rows of ranking_curve.

    Args:
      run_: Run.
      step: how many are done.
      both: (frozen, trained).
      seen: comparisons that were trained on so far.
    """
    for split, (reader, index_N, own_N) in self._sides.items():
      score_NC = self._scores(split, both)[own_N]
      rank_NC = reader.rows.rank_BC[index_N][own_N]
      line = {key: self._config[key] for key in ('loss', 'epochs')}
      line |= {'pairs': round(seen), 'split': split}
      for name, measure in (
        ('log_loss', preference.candidates_loss),
        ('pick_loss', preference.best_of_loss),
        ('accuracy', preference.candidates_accuracy),
      ):
        line[name] = round(float(measure(score_NC, rank_NC)), 6)
      line['n_prompts'] = len(own_N)
      run_.log(step, line, kind=CURVE)


def write_curve(run_):
  """Writes ranking_curve.csv of what was noted."""
  lines = [
    {k: v for k, v in line.items() if k != 'step'} for line in run_.rows(CURVE)
  ]
  write_csv(run_.path / f'{CURVE}.csv', lines)


def shifted(config, base, way, mesh, ranked, frozen, params):
  """(parameters by which demonstrations score 0 on average, what was done).

  The bias of the head takes up the shift, so that it holds wherever the model
  is opened. No loss sees it. Ouyang et al. 2022, section 3.5.

  Args:
    config: eval_batch.
    base: Base.
    way: Way.
    mesh: of `devices.mesh_from`.
    ranked: Ranked; without demonstrations nothing is shifted.
    frozen: what is not trained.
    params: what is.
  """
  if ranked.demonstrations is None:
    return params, {}
  reader = Candidates(ranked.demonstrations)
  count = len(reader.rows.prefix_B)
  score = score_program(base.functions, way, base.size, mesh)
  both, every = (frozen, params), np.arange(count)
  score_N1 = reader.scores(score, both, every, config['eval_batch'])
  mean = float(score_N1.mean())
  head = params['head'] | {'bias': params['head']['bias'] - mean}
  said = {'demonstrations': count, 'mean_score_before': round(mean, 6)}
  return params | {'head': head}, {'shift': said}
