"""The best reward that any policy has at each KL, from pi_0's replies alone.

    python -m experiments.frontier --run=RL_RUN --workdir=DIR

`--run` is the workdir of a finished train_ppo: its pi_0, its train PM, test PM
and gold, and held-out prompts of its own. Many replies to few prompts are
sampled and scored once; the curve stops where fewer than 20 of them carry it
(`rlhf_jax/analysis/frontier.py`). Written are frontier.csv and best_of_n.csv,
of all prompts and of each kind of them; printed are the bow, the exponent, the
shape of the scores, and the efficiency of the run's policy: its gain over the
frontier's at the same KL. A study runs it after its policies (`frontier` in
configs/reproduce.py says of how many prompts and replies).
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
ALL = 'all'  # prompts of every kind together
SQRT_KL = (0.5, 1.0, 1.5, 2.0)  # where the efficiency is printed


def sampled_scores(config, prompts, replies, progress):
  """({scorer: score_PN} of pi_0's replies, the kind of each prompt).

  Args:
    config: of the PPO run; a batch has about the rows of its `eval_batch`.
    prompts: how many of its held-out prompts, the same for every seed.
    replies: to each, a multiple of the replies that a batch holds of it.
    progress: (start, total) -> iterator over the batches.
  """
  mesh, way = mesh_from(config['mesh']), trained.way_of(config)
  base = open_base(config, mesh)
  networks = open_scorers(config, mesh)
  scorers = policies.scorers_of(config, base, networks, mesh)
  found = comparisons.read_prompts(config, base)['test']
  order = np.random.default_rng(0).permutation(len(found))[:prompts]
  # The prompts stand in a batch one after the other, again and again.
  rows = max(1, config['eval_batch'] // len(order)) * len(order)
  parts = math.gcd(config['scoring_parts'], rows)
  config = config | {'eval_prompts': rows, 'eval_batch': rows}
  config['scoring_parts'] = parts
  evaluate = policies.evaluation_of(
    config, base, way, scorers, mesh, divergences=False
  )
  few = [found[i] for i in order]
  held_out = policies.HeldOut(config, base, scorers, evaluate, few)
  start, batches = trained.policy(config, base), []
  for batch in progress(0, math.ceil(replies * len(order) / rows)):
    out = held_out.measure(start, 0, row_offset=rows * (batch + 1))
    batches.append({name: out[key] for name, key in SCORERS.items()})
  scores = {
    name: np.concatenate(
      [batch[name].reshape(-1, len(order)) for batch in batches]
    ).T
    for name in SCORERS
    if np.isfinite(batches[0][name]).all()
  }
  return scores, held_out.kinds[: len(order)]


def subsets_of(kinds):
  """{'all' or a kind: which prompts}; kinds of two prompts or more."""
  kinds = np.array(kinds)
  found = {ALL: np.ones(len(kinds), bool)}
  own = {str(kind): kinds == kind for kind in np.unique(kinds)}
  return found | {kind: own_P for kind, own_P in own.items() if own_P.sum() > 1}


def tables_of(scores, kinds, labels):
  """(rows of frontier.csv, rows of best_of_n.csv, what has no frontier).

  Args:
    scores: {scorer: score_PN}.
    kinds: of the prompts.
    labels: columns that all rows share.

  Raises:
    ValueError: if there is no frontier at all.
  """
  edges, best, without = [], [], []
  for name, score_PN in scores.items():
    for subset, own_P in subsets_of(kinds).items():
      own_PN = score_PN[own_P]
      head = {'scorer': name, 'subset': subset, 'n_prompts': len(own_PN)}
      head |= {'n_replies': own_PN.shape[1]} | labels
      try:
        rows = frontier.curve(own_PN).to_dict('records')
      except ValueError as error:
        without.append(f'{name}, {subset}: {error}')
        continue
      edges += [head | row for row in rows]
      sizes = [2**k for k in range(1, 8) if 2 ** (k + 2) <= own_PN.shape[1]]
      rows = frontier.best_of(own_PN, sizes).to_dict('records')
      best += [head | row for row in rows]
  if not edges:
    raise ValueError(f'no frontier: {without[0]}')
  return edges, best, without


def lines_of(scores, edges, kinds, curve):
  """Yields what is printed of each scorer.

  Args:
    scores: {scorer: score_PN}.
    edges: rows of frontier.csv.
    kinds: of the prompts.
    curve: rl_curve of the run.
  """
  table = pd.DataFrame(edges)
  for (name, subset), edge in table.groupby(['scorer', 'subset'], sort=False):
    score_PN = scores[name][subsets_of(kinds)[subset]]
    found, shape = frontier.moments(score_PN), frontier.shape(edge)
    yield (
      f'{name}, {subset}: to sqrt(KL) {shape["sqrt_kl"]:.2f}, bow '
      f'{shape["bow"]:+.3f}, exponent {shape["p"]:.3f}; within prompts: '
      f'standard deviation {math.sqrt(found["variance"]):.3f}, skew '
      f'{found["skew"]:+.2f}, excess kurtosis {found["kurtosis"]:+.2f}'
    )
    if subset == ALL:
      yield from _efficiency_lines(edge, curve, COLUMN[name], score_PN.mean())


def _efficiency_lines(edge, curve, column, start):
  """Yields the gain of the policy over that of the frontier, if both reach."""
  own = curve.sort_values('kl')
  share_N = frontier.efficiency(edge, own['kl'], own[column] - start)
  root_N = np.sqrt(np.maximum(own['kl'].to_numpy(), 0))
  known = np.isfinite(share_N)
  if known.any():
    shown = [
      f'{np.interp(x, root_N[known], share_N[known]):.0%} at {x:g}'
      for x in SQRT_KL
      if x <= root_N[known].max()
    ]
    yield f'  gain of the policy over it at sqrt(KL): {", ".join(shown)}'


def labels_of(config):
  """{'world', 'pm'}: what a PPO run's replies and scores are of.

  The world is the simulated one's name or the source of the data, the train
  PM its size, kind of pairs and number of them.
  """
  world = config['data']['source']
  if world == 'simulated':
    world = config['world'].get('name', 'classic')
  if config['hashed_rewards']:
    return {'world': world, 'pm': 'hashed'}
  pm = about.read(config['train_pm_dir'])
  name = f'{pm.row["size"]} {pm.config["train_subset"]} {config["pm_pairs"]}'
  return {'world': world, 'pm': name}


def check(config):
  """The run that is named, read; and its curve.

  Raises:
    ValueError, RunError: saying what is wrong.
  """
  found = about.read(config['run_dir'])
  if found.about.holds != 'policy':
    raise about.RunError(
      f'{config["run_dir"]} holds {found.about.holds}: wanted the workdir of a '
      'finished train_ppo'
    )
  for name in ('prompts', 'replies'):
    if config[name] < 2:
      raise ValueError(f'--{name}: wanted 2 or more, got {config[name]}')
  file = Path(config['run_dir']) / 'rl_curve.csv'
  if not file.exists():
    raise about.RunError(f'{config["run_dir"]} is not finished: no {file.name}')
  return found, pd.read_csv(file)


def run(config, workdir):
  """Samples, scores, writes and prints.

  Args:
    config: run_dir, prompts, replies.
    workdir: of the result.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  found, curve = check(config)
  row = {k: found.row[k] for k in ('role', 'seed', 'size', 'n_params', 'half')}
  kind = about.About('frontier', 'table', base=config['run_dir'])
  with Run(Path(workdir), config, row, about=kind) as run_:
    if run_.done:
      print(f'{run_.path} is finished: its tables are there')
      return
    scores, kinds = sampled_scores(
      found.config, config['prompts'], config['replies'], run_.progress
    )
    labels = labels_of(found.config)
    edges, best, without = tables_of(scores, kinds, labels)
    write_csv(run_.path / 'frontier.csv', edges)
    write_csv(run_.path / 'best_of_n.csv', best)
    for line in (*lines_of(scores, edges, kinds, curve), *without):
      print(line)
    run_.finish(prompts=config['prompts'], replies=config['replies'])


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('run', None, 'Workdir of a finished train_ppo.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
    flags.DEFINE_integer('prompts', 32, 'Held-out prompts.'),
    flags.DEFINE_integer('replies', 1024, 'Replies of pi_0 to each.'),
  ]

  def started(options):
    config = {'run_dir': options['run']}
    config |= {key: options[key] for key in ('prompts', 'replies')}
    run(config, options['workdir'])

  command.main_of_flags(started, values, ('run', 'workdir'))


if __name__ == '__main__':
  main()
