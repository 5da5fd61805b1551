"""The best reward that any policy has at each KL, from pi_0's replies alone.

    python -m experiments.frontier --run=RL_RUN --workdir=DIR

`--run` is the workdir of a finished train_ppo: its pi_0, its train PM, test PM
and gold, and held-out prompts of its own. Many replies to few prompts are
sampled and scored once; the curve stops where fewer than 20 of them carry it
(`rlhf_jax/analysis/frontier.py`). Written are frontier.csv and best_of_n.csv;
printed are the bow, the exponent, the shape of the scores, and the efficiency
of the run's policy: its gain over the frontier's at the same KL.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from absl import flags

from experiments.shared import command, comparisons, policies, trained
from experiments.shared.devices import mesh_from
from experiments.shared.files import write_csv
from experiments.shared.models import open_base, open_scorers
from rlhf_jax.analysis import frontier
from rlhf_jax.train import about
from rlhf_jax.train.run import Run

SCORERS = {'train': 'score_0', 'test': 'score_1', 'gold': 'gold'}
COLUMN = {'train': 'train_pm', 'test': 'test_pm', 'gold': 'gold'}
BATCH = 256  # replies sampled at a time
SQRT_KL = (0.5, 1.0, 1.5, 2.0)  # where the efficiency is printed


def sampled_scores(config, prompts, replies, progress):
  """{scorer: score_PN} of pi_0's replies to held-out prompts.

  Args:
    config: of the PPO run.
    prompts: how many of its held-out prompts, the same for every seed.
    replies: to each, a multiple of the replies that a batch holds of it.
    progress: (start, total) -> iterator over the batches.
  """
  mesh, way = mesh_from(config['mesh']), trained.way_of(config)
  base = open_base(config, mesh)
  networks = open_scorers(config, mesh)
  scorers = policies.scorers_of(config, base, networks, mesh)
  evaluate = policies.evaluation_of(config, base, way, scorers, mesh)
  found = comparisons.read_prompts(config, base)['test']
  order = np.random.default_rng(0).permutation(len(found))[:prompts]
  # The prompts stand in a batch one after the other, again and again.
  rows = max(1, BATCH // len(order)) * len(order)
  config = config | {'eval_prompts': rows, 'eval_batch': rows}
  few = [found[i] for i in order]
  held_out = policies.HeldOut(config, base, scorers, evaluate, few)
  start, batches = trained.policy(config, base), []
  for batch in progress(0, math.ceil(replies * len(order) / rows)):
    out = held_out.measure(start, 0, row_offset=rows * (batch + 1))
    batches.append({name: out[key] for name, key in SCORERS.items()})
  return {
    name: np.concatenate(
      [batch[name].reshape(-1, len(order)) for batch in batches]
    ).T
    for name in SCORERS
    if np.isfinite(batches[0][name]).all()
  }


def tables_of(scores):
  """(rows of frontier.csv, rows of best_of_n.csv)."""
  edges, best = [], []
  for name, score_PN in scores.items():
    rows = frontier.curve(score_PN).to_dict('records')
    edges += [{'scorer': name, **row} for row in rows]
    sizes = [2**k for k in range(1, 8) if 2 ** (k + 2) <= score_PN.shape[1]]
    rows = frontier.best_of(score_PN, sizes).to_dict('records')
    best += [{'scorer': name, **row} for row in rows]
  return edges, best


def lines_of(scores, edges, curve):
  """Yields what is printed of each scorer.

  Args:
    scores: {scorer: score_PN}.
    edges: rows of frontier.csv.
    curve: rl_curve of the run.
  """
  for name, score_PN in scores.items():
    edge = pd.DataFrame([row for row in edges if row['scorer'] == name])
    found, shape = frontier.moments(score_PN), frontier.shape(edge)
    yield (
      f'{name}: to sqrt(KL) {shape["sqrt_kl"]:.2f}, bow {shape["bow"]:+.3f}, '
      f'exponent {shape["p"]:.3f}; within prompts: standard deviation '
      f'{math.sqrt(found["variance"]):.3f}, skew {found["skew"]:+.2f}, '
      f'excess kurtosis {found["kurtosis"]:+.2f}'
    )
    own = curve.sort_values('kl')
    gain_N = own[COLUMN[name]] - score_PN.mean()
    share_N = frontier.efficiency(edge, own['kl'], gain_N)
    root_N = np.sqrt(np.maximum(own['kl'].to_numpy(), 0))
    known = np.isfinite(share_N)
    if known.any():
      shown = [
        f'{np.interp(x, root_N[known], share_N[known]):.0%} at {x:g}'
        for x in SQRT_KL
        if x <= root_N[known].max()
      ]
      yield f'  gain of the policy over it at sqrt(KL): {", ".join(shown)}'


def run(options):
  """Samples, scores, writes and prints; `options` has the flags' names.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  found = about.read(options['run'])
  if found.about.holds != 'policy':
    raise about.RunError(
      f'{options["run"]} holds {found.about.holds}: wanted the workdir of a '
      'finished train_ppo'
    )
  for name in ('prompts', 'replies'):
    if options[name] < 2:
      raise ValueError(f'--{name}: wanted 2 or more, got {options[name]}')
  file = Path(options['run']) / 'rl_curve.csv'
  if not file.exists():
    raise about.RunError(f'{options["run"]} is not finished: no {file.name}')
  config = {key: options[key] for key in ('run', 'prompts', 'replies')}
  row = {k: found.row[k] for k in ('role', 'seed', 'size', 'n_params', 'half')}
  kind = about.About('frontier', 'table', base=options['run'])
  with Run(Path(options['workdir']), config, row, about=kind) as run_:
    if run_.done:
      print(f'{run_.path} is finished: its tables are there')
      return
    scores = sampled_scores(
      found.config, options['prompts'], options['replies'], run_.progress
    )
    edges, best = tables_of(scores)
    write_csv(run_.path / 'frontier.csv', edges)
    write_csv(run_.path / 'best_of_n.csv', best)
    for line in lines_of(scores, edges, pd.read_csv(file)):
      print(line)
    run_.finish(prompts=options['prompts'], replies=options['replies'])


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('run', None, 'Workdir of a finished train_ppo.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
    flags.DEFINE_integer('prompts', 32, 'Held-out prompts.'),
    flags.DEFINE_integer('replies', 1024, 'Replies of pi_0 to each.'),
  ]
  command.main_of_flags(run, values, ('run', 'workdir'))


if __name__ == '__main__':
  main()
