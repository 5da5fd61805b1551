"""Stage 4: a preference model, from the language model of its size.

python -m experiments.train_pm --config=configs/pm.py --workdir=DIR
"""

import hashlib

import jax
import numpy as np
import pandas as pd

from experiments import make_comparisons, make_text, train_lm
from experiments.shared import command, files, programs
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.shared import share_prefix
from rlhf_jax.evals import preference
from rlhf_jax.models import ladder
from rlhf_jax.train.averaging import AveragedState
from rlhf_jax.train.optimiser import learning_rate_at
from rlhf_jax.train.run import Run, save_params
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import PMHyper

SUBSETS = {'mix': (0, 1), 'helpful': (0,), 'harmless': (1,)}


def load(workdir, size, vocab_size, dtype='float32', mesh=None):
  """Parameters of a finished preference model; see `programs.restored`."""
  init = programs.preference_init(programs.model(size, vocab_size, dtype))
  return programs.restored(workdir, init, mesh)


def redraw_labels(pairs, rng):
  """Draws the workers' choices anew where their probabilities are known.

  A seed redraws labels: each pair is turned round with probability
  1 - p_label. Real labels (p_label NaN) stay.
  """
  flip_N = rng.random(len(pairs.p_label_N)) > pairs.p_label_N
  flip_NT = flip_N[:, None]
  pick = lambda flip, a, b: (np.where(flip, b, a), np.where(flip, a, b))
  chosen, rejected = pick(
    flip_NT, pairs.chosen_tokens_NT, pairs.rejected_tokens_NT
  )
  chosen_length, rejected_length = pick(
    flip_N, pairs.chosen_length_N, pairs.rejected_length_N
  )
  words_chosen, words_rejected = pick(
    flip_N, pairs.words_chosen_N, pairs.words_rejected_N
  )
  return pairs._replace(
    chosen_tokens_NT=chosen,
    rejected_tokens_NT=rejected,
    chosen_length_N=chosen_length,
    rejected_length_N=rejected_length,
    words_chosen_N=words_chosen,
    words_rejected_N=words_rejected,
    p_label_N=np.where(flip_N, 1 - pairs.p_label_N, pairs.p_label_N),
  )


def in_half(pairs, half, seed):
  """Mask of the pairs in half 'a' or 'b' ('all': everything).

  The half of a prompt is a hash of (seed, prompt), so the halves share no
  prompt and every seed draws new ones.
  """
  if half == 'all':
    return np.ones(len(pairs.kind_N), bool)
  bit = lambda prompt: hashlib.sha1(f'{seed}:{prompt}'.encode()).digest()[0] & 1
  bits = np.array([bit(p) for p in range(pairs.prompt_index_N.max() + 1)])
  return bits[pairs.prompt_index_N] == (half == 'b')


def training_pairs(config):
  """The pairs this run trains on: subset, half, seed's labels, capped."""
  rng = np.random.default_rng([config['seed'], 1])
  pairs = make_comparisons.load_pairs(config['comparisons_dir'], 'train')
  pairs = redraw_labels(pairs, rng)
  wanted = np.isin(pairs.kind_N, SUBSETS[config['train_subset']])
  wanted &= in_half(pairs, config['half'], config['seed'])
  rows = rng.permutation(np.flatnonzero(wanted))
  if config['pairs'] > len(rows) and config['source'] == 'simulated':
    raise ValueError(
      f'{config["pairs"]} pairs wanted for half {config["half"]} '
      f'({config["train_subset"]}), {len(rows)} there: lower pm.pairs or raise '
      'comparisons.pairs'
    )
  return pairs.take(rows[: config['pairs']])


def shared(pairs):
  """The rows of pairs as a preference model reads them."""
  return share_prefix(preference.pair_batch(pairs))


def evaluate(score_fn, params, pairs, config, seen):
  """Rows of pm_curve: accuracy on each kind of pair."""
  sides = preference.score_all(
    score_fn, params, shared(pairs), config['eval_batch']
  )
  return accuracy_rows(config, pairs, *sides, seen), *sides


def accuracy_rows(config, pairs, chosen, rejected, seen):
  """Rows of pm_curve from the scores of both sides."""
  rows = []
  for subset, kinds in SUBSETS.items():
    keep = np.isin(pairs.kind_N, kinds)
    if not keep.any():
      continue
    sides = chosen[keep], rejected[keep]
    rows.append(
      {
        'train_subset': config['train_subset'],
        'schedule': config['schedule'],
        'pairs': seen,
        'eval_subset': subset,
        'accuracy': preference.accuracy(*sides),
        'expected_accuracy': preference.expected_accuracy(
          *sides, pairs.p_label_N[keep]
        ),
        'n_eval': int(keep.sum()),
      }
    )
  return rows


def pair_table(config, pairs, chosen, rejected, seen):
  """pm_pairs: the scores of every test pair, with the worker's probability."""
  return pd.DataFrame(
    {
      'train_subset': config['train_subset'],
      'schedule': config['schedule'],
      'pairs': seen,
      'pair_id': np.arange(len(chosen)),
      'prompt_id': pairs.prompt_index_N,
      'subset': np.where(pairs.kind_N == 0, 'helpful', 'harmless'),
      'turn': pairs.turn_N,
      'score_chosen': np.round(chosen, 5),
      'score_rejected': np.round(rejected, 5),
      'p_label': np.round(pairs.p_label_N, 5),
      'words_chosen': pairs.words_chosen_N,
      'words_rejected': pairs.words_rejected_N,
    }
  )


def curve_points(total, batch_size, points):
  """Steps at which the learning curve is read: halvings of the data."""
  wanted = {max(1, round(total / 2**i)) for i in range(points)}
  return sorted(step for step in wanted if step * batch_size > 0)


def initial_state(config, key, mesh):
  """The language model with a new head, and the average that starts from it."""
  rng = jax.random.key(config['seed'])
  params = train_lm.load(config['lm_dir'], *key, mesh)
  # Halves start from heads of their own: a shared one would be a direction
  # in which train and test PM agree for no reason.
  head_rng = jax.random.fold_in(rng, ('all', 'a', 'b').index(config['half']))
  params |= {'head': programs.model(*key).init_head(head_rng)}
  state = init_state(params, programs.optimiser(config['b2']))
  return programs.spread(AveragedState(state, params), mesh)


def run(config, workdir):
  """Trains one epoch; writes `params`, `pm_curve.csv`, `pm_pairs.csv.gz`."""
  size = ladder.rung(config['size'])
  row = {k: config[k] for k in ('role', 'size', 'seed', 'half')}
  with Run(workdir, config, row | {'n_params': size.non_embedding}) as run_:
    if run_.done:
      return
    vocab = make_text.load_tokenizer(config['text_dir']).vocab_size
    key = (config['size'], vocab, config['dtype'])
    rng = jax.random.key(config['seed'])
    mesh = programs.mesh_of(config['mesh'])
    state = initial_state(config, key, mesh)
    train = training_pairs(config)
    test = redraw_labels(
      make_comparisons.load_pairs(config['comparisons_dir'], 'test'),
      np.random.default_rng([config['seed'], 2]),
    )
    curve_test = test.take(slice(None, config['curve_eval_pairs']))
    epochs, batch_size = config['epochs'], config['batch_size']
    batches = Batches(shared(train), batch_size, config['seed'])
    total = len(train.kind_N) * epochs // batch_size
    state = run_.restore(state, batches)
    step_fn = programs.pm_step(
      *key, config['b2'], config['microbatches'], config['average_eta'], mesh
    )
    score_fn = programs.score(*key, mesh)
    points = curve_points(total, batch_size, config['curve_points'])
    peak = size.learning_rate * config['lr_multiple']
    for step in run_.progress(int(state.step), total):
      rate = learning_rate_at(
        step,
        peak=peak,
        total=total,
        warmup=int(config['warmup'] * total),
        shape=config['schedule_shape'],
      )
      state, metrics = step_fn(state, next(batches), rng, PMHyper(rate))
      if (step + 1) % config['log_every'] == 0:
        run_.log(step + 1, metrics)
      if step + 1 in points:
        seen = (step + 1) * batch_size
        lines, *_ = evaluate(score_fn, state.average, curve_test, config, seen)
        for line in lines:
          run_.log(step + 1, line, kind='curve')
      if (step + 1) % config['checkpoint_every'] == 0:
        run_.save(state, batches)
    save_params(run_.path, programs.spread(state.average, None))
    finish(run_, config, score_fn, state.average, test, total * batch_size)


def finish(run_, config, score_fn, params, test, seen):
  """The tables at the end of a run.

  Every point of every learning curve is read on the same pairs; the longer
  evaluation goes to pm_pairs alone.
  """
  curve = [
    {k: v for k, v in line.items() if k != 'step'}
    for line in run_.rows('curve')
  ]
  if config['final_eval_pairs']:
    test = test.take(slice(None, config['final_eval_pairs']))
    _, chosen, rejected = evaluate(score_fn, params, test, config, seen)
    table = pair_table(config, test, chosen, rejected, seen)
    table.to_csv(
      run_.path / 'pm_pairs.csv.gz',
      index=False,
      compression={'method': 'gzip', 'mtime': 0},
    )
  files.write_csv(run_.path / 'pm_curve.csv', curve)
  own = [c for c in curve if c['eval_subset'] == config['train_subset']]
  run_.finish(pairs=seen, accuracy=own[-1]['accuracy'])


if __name__ == '__main__':
  command.main(run, 'configs/pm.py', report=True)
