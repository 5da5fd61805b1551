"""A preference model from an imported model: adapters over cached features.

    python -m experiments.tune_pm --config=configs/pm.py:smollm2 --workdir=DIR

The frozen blocks read every comparison once; what they make is kept in
`feature_folder`, which all preference models of a study share. Trained are
adapters of the last blocks and a head that starts at zero.
"""

import time

import numpy as np
import pandas as pd

from experiments import train_pm
from experiments.shared import command, files, imported, pair_features, programs
from rlhf_jax.analysis import calibration, intervals
from rlhf_jax.train.optimiser import learning_rate_at
from rlhf_jax.train.run import Run, save_params
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import PMHyper


def training_rows(config, pairs):
  """Numbers of the pairs this run trains on: subset, half, capped."""
  rng = np.random.default_rng([config['seed'], 1])
  kinds = train_pm.SUBSETS[config['train_subset']]
  wanted = np.isin(pairs.kind_N, kinds)
  wanted &= train_pm.in_half(pairs, config['half'], config['seed'])
  rows = rng.permutation(np.flatnonzero(wanted))
  return rows[: config['pairs'] or None]


def features_of(config, base, pairs, split):
  """The features of one side of the data."""
  made = config['features']
  return pair_features.Features(
    base,
    imported.first_layer(base, config['adapters']),
    pairs,
    made['edges'],
    made['tokens'],
    config['feature_folder'],
    f'features of {split}',
  )


def accuracy_lines(table, draws=2000):
  """Accuracy by kind of pair, beside the rule that the longer reply wins.

  Intervals are percentile bootstraps over conversations, of one trained model:
  they say nothing of what another seed would give.

  Args:
    table: rows of pm_pairs.
    draws: bootstrap samples.
  """
  rng, lines = np.random.default_rng(0), []
  for subset, part in [('mix', table), *table.groupby('subset')]:
    right_N = calibration.agreement(part)
    longer_N = 0.5 + 0.5 * np.sign(part.words_chosen - part.words_rejected)
    over_N = right_N - longer_N.to_numpy()
    row = {'subset': subset, 'pairs': len(part)}
    for name, x_N in (
      ('accuracy', right_N),
      ('longer_wins', longer_N.to_numpy()),
      ('over_longer', over_N),
    ):
      found = intervals.cluster_bootstrap(
        x_N, part.prompt_id.to_numpy(), rng, draws
      )
      row |= {name: found.mean, f'{name}_low': found.low}
      row |= {f'{name}_high': found.high}
    lines.append(row)
  return lines


def print_lines(lines, seed):
  """What a run found, for whoever started it."""
  print(f'held-out pairs, one seed ({seed}); 95 % intervals over conversations')
  for row in lines:
    cells = [
      f'{name} {row[name]:.3f} [{row[f"{name}_low"]:.3f}, '
      f'{row[f"{name}_high"]:.3f}]'
      for name in ('accuracy', 'longer_wins', 'over_longer')
    ]
    print(f'{row["subset"]:>8} {row["pairs"]:>5} pairs  {"  ".join(cells)}')


def run(config, workdir):
  """Trains; writes `params` and the tables pm_curve, pm_pairs and floors."""
  base = imported.open_base(config['model'], config['pad_token'])
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  with Run(workdir, config, row) as run_:
    if run_.done:
      return
    pairs = imported.read_pairs(
      base, config['data'], config['reading'], config['feature_folder']
    )
    started = time.time()
    train = features_of(config, base, pairs.train, 'train')
    test = features_of(config, base, pairs.test, 'test')
    feature_seconds = time.time() - started
    rows, batch_size = training_rows(config, pairs.train), config['batch_size']
    batches = train.batches(rows, batch_size, config['seed'])
    total = len(rows) * config['epochs'] // batch_size
    adapters = config['adapters']
    step_fn, score_fn = pair_features.pair_programs(
      base,
      imported.first_layer(base, adapters),
      adapters['alpha'],
      config['b2'],
      config['microbatches'],
    )
    rng = imported.seed_key(
      config['seed'], config['half'], config['train_subset']
    )
    trained = {
      'adapters': imported.fresh_adapters(base, adapters, rng),
      'head': base.functions.init_head(rng, 'zero'),
    }
    state = init_state(trained, programs.optimiser(config['b2']))
    state = run_.restore(programs.spread(state, None), batches)
    for step in run_.progress(int(state.step), total):
      rate = learning_rate_at(
        step,
        peak=config['learning_rate'],
        total=total,
        warmup=int(config['warmup'] * total),
        shape='linear',
      )
      state, metrics = step_fn(
        state, base.params, next(batches), rng, PMHyper(rate)
      )
      if (step + 1) % config['log_every'] == 0:
        run_.log(step + 1, metrics)
      if (step + 1) % config['checkpoint_every'] == 0:
        run_.save(state, batches)
    save_params(run_.path, state.params)
    chosen, rejected = test.scores(
      score_fn, state.params, base.params, config['eval_batch']
    )
    finish(run_, config, pairs, (chosen, rejected), total * batch_size)
    lines = accuracy_lines(pd.read_csv(run_.path / 'pm_pairs.csv.gz'))
    files.write_csv(run_.path / 'floors.csv', lines)
    print_lines(lines, config['seed'])
    run_.finish(
      pairs=total * batch_size,
      distinct_pairs=len(rows),
      feature_seconds=round(feature_seconds, 1),
      read=pairs.counts,
      accuracy=lines[0]['accuracy'],
    )


def finish(run_, config, pairs, sides, seen):
  """The tables at the end of a run, whose rate has decayed."""
  config = config | {'schedule': 'decay'}
  files.write_csv(
    run_.path / 'pm_curve.csv',
    train_pm.accuracy_rows(config, pairs.test, *sides, seen),
  )
  train_pm.pair_table(config, pairs.test, *sides, seen).to_csv(
    run_.path / 'pm_pairs.csv.gz',
    index=False,
    compression={'method': 'gzip', 'mtime': 0},
  )


if __name__ == '__main__':
  command.main(run, 'configs/pm.py:smollm2', report=True)
