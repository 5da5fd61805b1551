"""Imitation, ranking and binary discrimination on real ranked sets.

    python -m experiments.compare_ranked --config=configs/compare_ranked.py \
        --workdir=DIR

A frozen language model reads the replies of `sets` once. They are ranked by

    imitation    its log-likelihood of a reply, after the prompt: the mean per
                 token, and the sum beside it
    ranked       a linear head on its pooled features, fitted to the pairs of
                 replies whose ranks differ
    binary       one on the same features, fitted to the best replies of each
                 prompt against the rest, each reply by itself
    longer       which reply has more words

The heads choose blocks and penalty from one grid, inside their training
prompts, each by the held-out loss of its own labels. Each prompt is scored by
heads of other conversations. Replies are cut to `reading.max_reply` tokens for
all of them but the last rule. What is done is not done again.

Reference: Askell et al. 2021 (arXiv:2112.00861), section 3.
"""

import hashlib
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

from experiments.harness import reading
from experiments.shared import (
  command,
  comparisons,
  fold_parts,
  heads,
  imported,
  pooling,
  ranked_sets,
)
from experiments.shared.files import write_csv
from experiments.shared.kept import claim, in_parts
from experiments.shared.models import open_base, open_writer
from experiments.shared.trained import pooled_layers
from rlhf_jax.analysis import ranked_pairs
from rlhf_jax.data.rankings import RankingArrays, pairs_of
from rlhf_jax.linear import binary, head
from rlhf_jax.linear.folds import grouped_folds
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run

PART = 256  # replies that are scored before they are kept


class Read(NamedTuple):
  """A ranked set as the frozen model has read it.

  Attributes:
    rankings: RankingArrays.
    prompt_NPLD: pooled features of the prompts.
    reply_NCPLD: of the replies.
    logp_NC: log-likelihood of each reply, nats; NaN where there is none.
    count_NC: its tokens.
  """

  rankings: RankingArrays
  prompt_NPLD: np.ndarray
  reply_NCPLD: np.ndarray
  logp_NC: np.ndarray
  count_NC: np.ndarray


def requests_of(rankings):
  """[(ids of a prompt, ids of a reply)], one ranking after the other.

  Without the end-of-context token, which a language model does not write.
  """
  found = []
  for i, start in enumerate(rankings.prompt_length_N):
    for c in np.flatnonzero(rankings.rank_NC[i] >= 0):
      ids = rankings.tokens_NCT[i, c, : rankings.length_NC[i, c] - 1]
      found.append((ids[:start].tolist(), ids[start:].tolist()))
  return found


def likelihoods(config, rankings, file, label):
  """(logp_NC, count_NC) of the replies of rankings, kept in a file.

  Args:
    config: base, pad_token.
    rankings: RankingArrays.
    file: a line a part; the next call makes what is missing.
    label: of the progress.
  """
  requests, model = requests_of(rankings), config['base']
  digest = hashlib.sha256(repr(requests).encode()).hexdigest()[:12]
  key = {'model': model, 'revision': imported.revision(model)}
  claim(file.with_suffix('.json'), key | {'replies': digest}, kept=file)
  opened = []

  def work(part, first, name):
    del first
    if not opened:
      found = open_writer(model, pad_token=config['pad_token'] or None)
      found = found._replace(params=jax.device_put(found.params))
      opened.append(reading.make_score(found))
    return [float(logp) for logp, _ in opened[0](part, name)]

  there_NC = rankings.rank_NC >= 0
  logp_NC = np.full(there_NC.shape, np.nan)
  logp_NC[there_NC] = in_parts(work, requests, file, PART, label)
  start_N1 = rankings.prompt_length_N[:, None]
  count_NC = np.where(there_NC, rankings.length_NC - 1 - start_N1, 0)
  return logp_NC, count_NC


def pairs_right(score_NC, place_M3):
  """Whether the better reply of each pair scores higher; a tie is a half."""
  row_M, better_M, worse_M = place_M3.T
  gap_M = score_NC[row_M, better_M] - score_NC[row_M, worse_M]
  return 0.5 + 0.5 * np.sign(gap_M)


def plain_right(own):
  """{method: right_M} of what needs no fit.

  Args:
    own: Read.
  """
  place_M3 = pairs_of(own.rankings).place_M3
  each = own.logp_NC / np.maximum(own.count_NC, 1)
  return {
    'imitation': pairs_right(each, place_M3),
    'imitation_whole': pairs_right(own.logp_NC, place_M3),
    'longer': pairs_right(own.rankings.words_NC.astype(float), place_M3),
  }


def fit_ranked(own, inside_N, settings, rng):
  """(Head, Choice, pairs) of the pairs of some rankings."""
  rows = pairs_of(own.rankings).place_M3
  rows = rows[inside_N[rows[:, 0]]]
  data = heads.ranked_data(own.rankings, own.prompt_NPLD, own.reply_NCPLD, rows)
  return (*head.fit(*data, settings, rng), len(rows))


def fit_binary(own, inside_N, settings, rng):
  """(Head, Choice, replies) of the best replies against the rest."""
  rank_NC = own.rankings.rank_NC
  row_R, reply_R = np.nonzero((rank_NC >= 0) & inside_N[:, None])
  found = binary.fit(
    own.reply_NCPLD[row_R, reply_R],
    rank_NC[row_R, reply_R] == 0,
    own.rankings.prompt_index_N[row_R],
    settings,
    rng,
  )
  return (*found, len(row_R))


FITS = {'ranked': fit_ranked, 'binary': fit_binary}


def fold_tables(config, own, draw, fold):
  """(right of pairs, fits) of one fold as frames.

  Args:
    config: of the stage; `head.layers` are those that are stored.
    own: Read.
    draw: number of the draw of folds.
    fold: which is held out.
  """
  group_N, place_M3 = (
    own.rankings.prompt_index_N,
    pairs_of(own.rankings).place_M3,
  )
  seed = [config['seed'], draw]
  fold_N = grouped_folds(group_N, config['folds'], np.random.default_rng(seed))
  n_layers = own.reply_NCPLD.shape[3]
  settings = heads.settings_of(config['head'], n_layers, False)
  held_M = np.flatnonzero((fold_N == fold)[place_M3[:, 0]])
  scores, fits = pd.DataFrame({'pair': held_M}), []
  for method, fit in FITS.items():
    rng = np.random.default_rng([*seed, fold, *method.encode()])
    found, choice, count = fit(own, fold_N != fold, settings, rng)
    row_M, *sides = place_M3[held_M].T
    prompt_MPLD = own.prompt_NPLD[row_M]
    better_M, worse_M = (
      head.score(found, prompt_MPLD, own.reply_NCPLD[row_M, reply_M])
      for reply_M in sides
    )
    scores[method] = 0.5 + 0.5 * np.sign(better_M - worse_M)
    said = heads.choice_row(choice, config['head']['layers'])
    cell = {'method': method, 'draw': draw, 'fold': fold, 'n_train': count}
    fits.append(cell | said | {'accuracy': float(scores[method].mean())})
  return scores, pd.DataFrame(fits)


def pair_rows(name, own, scores):
  """Rows of ranked_pairs of a set.

  Args:
    name: of the set.
    own: Read.
    scores: frames of `fold_tables`, of all draws and folds.
  """
  row_M, better_M, worse_M = pairs_of(own.rankings).place_M3.T
  mean = scores.groupby('pair')[[*FITS]].mean().loc[np.arange(len(row_M))]
  columns = {'set': name, 'ranking': row_M}
  columns |= {'prompt_id': own.rankings.prompt_index_N[row_M]}
  columns |= {'better': better_M, 'worse': worse_M}
  found = pd.DataFrame(columns).assign(**mean.round(4).reset_index(drop=True))
  return found.assign(**plain_right(own))


def lines_of(methods):
  """Yields what is printed, a line a set and method."""
  yield 'accuracy on pairs of other conversations; 95 % intervals over them'
  for row in methods:
    cells = [
      f'{name} {row[name]:+.3f} [{row[f"{name}_low"]:+.3f}, '
      f'{row[f"{name}_high"]:+.3f}]'
      for name in ('accuracy', 'over_imitation')
    ]
    labels = ranked_sets.LABELS[row['set']]
    place = f'{row["set"]:>13} ({labels}) {row["method"]:<15}'
    yield f'{place} {"  ".join(cells)}'


def crossed(config, name, own, run_):
  """(rows of ranked_pairs, rows of ranked_fits) of a set, as frames.

  Args:
    config: as of `fold_tables`.
    name: of the set.
    own: Read.
    run_: Run, in whose directory each fold is kept.
  """
  parts = []
  for i in run_.progress(0, config['draws'] * config['folds']):
    cell = divmod(i, config['folds'])
    make = lambda cell=cell: fold_tables(config, own, *cell)
    folder = run_.path / f'parts_{name}'
    parts.append(fold_parts.kept(folder, i, ('scores', 'fits'), make))
  scores, fits = map(pd.concat, zip(*parts, strict=True))
  fits.insert(0, 'set', name)
  return pair_rows(name, own, scores), fits


def run(config, workdir):
  """Reads, fits and scores; a part a fold on the way."""
  ranked_sets.require(config)
  base = open_base(config, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('compare_ranked', 'table', base=config['base'])
  with Run(workdir, config, row, about=about) as run_:
    if run_.done:
      return
    base, counts = open_base(config), {}
    layers = pooled_layers(config['head']['layers'], base.functions)
    stored = config | {'head': config['head'] | {'layers': layers}}
    tables, fits = [], []
    for name in config['sets']:
      rankings, counts[name] = ranked_sets.read_set(
        config, name, base.tokenizer
      )
      pooled = pooling.pooled_replies(config, base, rankings)
      file = run_.path / 'likelihoods' / f'{name}.jsonl'
      own = Read(rankings, *pooled, *likelihoods(config, rankings, file, name))
      for found, part in zip(
        (tables, fits), crossed(stored, name, own, run_), strict=True
      ):
        found.append(part)
    comparisons.write_reading(run_.path, {'sets': counts})
    table, fits = pd.concat(tables), pd.concat(fits)
    fold_parts.write_packed(run_.path / 'ranked_pairs.csv.gz', table)
    write_csv(run_.path / 'ranked_fits.csv', fits.to_dict('records'))
    methods = ranked_pairs.rows(table)
    write_csv(run_.path / 'ranked_methods.csv', methods)
    for line in lines_of(methods):
      print(line)
    run_.finish(pairs=len(table), fits=len(fits))


if __name__ == '__main__':
  command.main(run, 'configs/compare_ranked.py', report=True)
