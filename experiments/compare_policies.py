"""Policies beside each other, and tranches under preference models.

    python -m experiments.compare_policies --config=configs/online.py \
        --workdir=DIR

The end of a study of online training. Held-out pairs of every tranche are
scored by every preference model (tranche_pairs); policies answer the same
held-out prompts, and the crowd says who is preferred (matches); and each policy
ranks the pairs of the first tranche by its own mean log-probability of a token
(online_policies; Bai et al. 2022, appendix B.3).
"""

import functools
import math

import numpy as np
import pandas as pd

from experiments.shared import (
  command,
  comparisons,
  matches,
  policies,
  readers,
  sources,
)
from experiments.shared.devices import jit_named
from experiments.shared.files import write_csv
from experiments.shared.models import arithmetic, open_base, open_scorer
from rlhf_jax.evals import answers, preference
from rlhf_jax.train.about import About
from rlhf_jax.train.run import Run


def tranches_of(config):
  """{name: PairArrays} of held-out pairs, equally many of each tranche.

  Dirs of one name, the rounds of an online tranche, are one tranche. Labels are
  drawn by the seed; likelihoods of them stay known.
  """
  found = {}
  named = zip(config['tranche_names'], config['tranche_dirs'], strict=True)
  for i, (name, folder) in enumerate(named):
    pairs = comparisons.load_pairs(folder, 'test')
    rng = np.random.default_rng([config['seed'], i, 5])
    pairs = comparisons.redraw_labels(pairs, rng)
    own = np.isin(pairs.kind_N, sources.SUBSETS[config['subset']])
    rows = rng.permutation(np.flatnonzero(own))
    found.setdefault(name, []).append(pairs.take(rows))
  # Equally many of every tranche, and of every round of one.
  fewest = min(
    len(parts) * min(len(part.kind_N) for part in parts)
    for parts in found.values()
  )
  fewest = min(fewest, config['test_pairs'])
  fewest -= fewest % math.lcm(*map(len, found.values()))
  return {
    name: comparisons.PairArrays(
      *(
        np.concatenate([column[: fewest // len(parts)] for column in columns])
        for columns in zip(*parts, strict=True)
      )
    )
    for name, parts in found.items()
  }


def scored(config, name, folder, tranches):
  """Rows of tranche_pairs of one preference model."""
  pm = open_scorer(folder, computes=arithmetic(config))
  args = pm.functions.pair_score_fn, pm.way, pm.size, 0.98, 1, -1.0, None
  score = readers.pm_programs(*args)[1]
  for tranche, pairs in tranches.items():
    rows = readers.shared_rows(pairs)
    both = pm.frozen, pm.trained
    sides = preference.score_all(score, both, rows, config['eval_batch'])
    yield pd.DataFrame(
      {
        'pm': name,
        'tranche': tranche,
        'pair_id': np.arange(len(pairs.kind_N)),
        'score_chosen': np.round(sides[0], 5),
        'score_rejected': np.round(sides[1], 5),
        'p_label': np.round(pairs.p_label_N, 5),
      }
    )


@functools.cache
def logp_program(functions):
  """Jitted log-probability of a reply under a language model."""
  own = answers.make_answer_logps(policies.split_model(functions))
  return jit_named(own, 'answer_logps')


def ranks(config, base, pairs):
  """(accuracy, expected accuracy) of a policy's mean log-probability.

  The end-of-context token, which only preference models read, is left out.
  """
  program, batch = logp_program(base.functions), config['eval_batch']
  first_N, sides = pairs.prompt_length_N, []
  for tokens_NT, length_N in (
    (pairs.chosen_tokens_NT, pairs.chosen_length_N - 1),
    (pairs.rejected_tokens_NT, pairs.rejected_length_N - 1),
  ):
    parts = []
    for i in range(0, len(first_N), batch):
      rows = [x[i : i + batch] for x in (tokens_NT, first_N, length_N)]
      more = batch - len(rows[1])
      rows = [
        np.pad(x, [(0, more)] + [(0, 0)] * (x.ndim - 1), 'edge') for x in rows
      ]
      out = np.asarray(program(base.params, *rows))
      parts.append(out[: batch - more])
    logp_N = np.concatenate(parts)
    sides.append(answers.per_token(logp_N, length_N - first_N))
  return (
    preference.accuracy(*sides),
    preference.expected_accuracy(*sides, pairs.p_label_N),
  )


def run(config, workdir):
  """Writes tranche_pairs, online_policies and matches."""
  asked = {'base': config['writer_dirs'][0], 'size': '', 'pad_token': ''}
  base = open_base(asked | arithmetic(config), weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('compare_policies', 'table')
  with Run(workdir, config, row, about=about, apart=True) as run_:
    if run_.done:
      return
    simulated = config['data']['source'] == 'simulated'
    world = sources.world_of(config['world']) if simulated else None
    tranches = tranches_of(config)
    first = tranches[config['tranche_names'][0]]
    prompts, rows, gold = matches.held_out(config), [], {}
    kinds = [kind for _, kind in prompts]
    names = config['writer_names']
    for i, path in enumerate(config['writer_dirs']):
      base = open_base(asked | arithmetic(config) | {'base': path})
      writer = policies.writer_of(base, config['max_reply'])
      gold[names[i]], words = matches.answered(
        config, writer, prompts, world, i
      )
      right, expected = ranks(config, base, first)
      row = {'policy': names[i], 'gold': float(gold[names[i]].mean())}
      row |= {'words': words, 'accuracy': right, 'expected_accuracy': expected}
      rows.append(row | {'n_pairs': len(first.kind_N)})
    frames = [
      frame
      for name, folder in zip(
        config['pm_names'], config['pm_dirs'], strict=True
      )
      for frame in scored(config, name, folder, tranches)
    ]
    how = {'method': 'gzip', 'mtime': 0}
    file = run_.path / 'tranche_pairs.csv.gz'
    pd.concat(frames).to_csv(file, index=False, compression=how)
    write_csv(run_.path / 'online_policies.csv', rows)
    games = matches.rows_of(names, gold, kinds, world)
    write_csv(run_.path / 'matches.csv', games)
    run_.finish(policies=len(names), tranches=len(tranches))


if __name__ == '__main__':
  command.main(run, 'configs/online.py', several=True)
