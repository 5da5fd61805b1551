"""Replies of one policy, scored by many preference models and by gold.

    python -m experiments.score_replies --policy=RUN --pms=RUN,RUN --workdir=DIR

The policy is a finished run of train_lm or of train_ppo; it answers held-out
prompts of the first preference model, each as often as `replies` says. Written
are scored.csv, a row a scorer and kind of prompt, and, of four replies to a
prompt or more, best_of_n.csv: what each preference model chooses, measured by
itself, in gold, and by the world's workers.
"""

import numpy as np
from absl import flags

from experiments.shared import (
  command,
  comparisons,
  policies,
  replies,
  sources,
)
from experiments.shared.best_of_n_tables import rows_of, sizes_of, subsets_of
from experiments.shared.files import write_csv
from experiments.shared.labels import gold_world, labels_of, pm_numbers
from experiments.shared.models import open_base, open_scorer
from experiments.shared.workers import with_workers
from rlhf_jax.train import about
from rlhf_jax.train.run import Run

GOLD = 'gold'


def prompts_of(config, pm_config, base):
  """[(text, kind)]: held-out prompts, the same for every seed."""
  found = comparisons.read_prompts(pm_config, base)['test']
  order = np.random.default_rng(0).permutation(len(found))
  return [found[i] for i in order[: config['prompts']]]


def score(base, asked, policy, pms, config, progress):
  """{number of a PM, or 'gold': score_PN} of the replies.

  Args:
    base: the opened policy.
    asked: [(text, kind)].
    policy: config of its run: data, world, max_prompt, max_reply.
    pms: Networks.
    config: replies.
    progress: (start, total) -> iterator over the batches.
  """
  rewards = [policies.scorer_of(base, pm) for pm in pms]
  world, batches = gold_world(policy), []
  sampling = policies.sampling_of(base.tokenizer, policy['max_reply'])
  sample = policies.sampler(base.functions, base.size, sampling)
  for out, texts, kinds in replies.sampled(
    base, sample, asked, policy['max_prompt'], config['replies'], progress
  ):
    found = {i: reward(out) for i, reward in enumerate(rewards)}
    if world:
      written = policies.decoded(base.tokenizer, *out[:3])
      found[GOLD] = sources.gold_scores(world, texts, kinds, written)
    batches.append(found)
  return replies.by_prompt(batches, len(asked))


def scored_rows(score_PN, kinds, labels):
  """Rows of scored.csv of one scorer."""
  rows = []
  for subset, own_P in subsets_of(kinds).items():
    own_PN = score_PN[own_P]
    mean_P = own_PN.mean(1)
    rows.append(
      labels
      | {
        'subset': subset,
        'n_prompts': len(mean_P),
        'n_replies': own_PN.shape[1],
        'mean': float(mean_P.mean()),
        'se': float(mean_P.std(ddof=1) / np.sqrt(len(mean_P))),
        'median': float(np.median(own_PN)),
        'negative': float((own_PN < 0).mean()),
      }
    )
  return rows


def tables_of(scores, kinds, labels, world):
  """(rows of scored.csv, rows of best_of_n.csv).

  Args:
    scores: of `score`.
    kinds: of the prompts.
    labels: world, pm, pm_params and pm_pairs of each PM, in their order.
    world: of gold, or None.
  """
  gold = {GOLD: scores[GOLD]} if GOLD in scores else {}
  judged, best = with_workers(gold, kinds, world), []
  scored = [
    row
    for i, own in enumerate(labels)
    for row in scored_rows(scores[i], kinds, own)
  ]
  if gold:
    own = labels[0] | {'pm': GOLD, 'pm_params': 0, 'pm_pairs': 0}
    scored += scored_rows(scores[GOLD], kinds, own)
  if sizes_of(scores[0].shape[1]):
    for i, own in enumerate(labels):
      measured = {'train': scores[i]} | judged
      best += rows_of(measured, kinds, own, 'train', measured)
  return scored, best


def run(config, workdir):
  """Samples, scores and writes.

  Args:
    config: policy_dir, pm_dirs, prompts, replies; role and seed of the rows.
    workdir: of the result.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  if not config['pm_dirs']:
    raise ValueError('pm_dirs is empty: wanted one run of train_pm or more')
  for name in ('prompts', 'replies'):
    if config[name] < 2:
      raise ValueError(f'{name}={config[name]}: wanted 2 or more')
  policy = about.read(config['policy_dir'])
  row = {k: policy.row[k] for k in ('size', 'n_params', 'half')}
  row |= {'role': config['role'], 'seed': config['seed']}
  kind = about.About('score_replies', 'table', base=config['policy_dir'])
  with Run(workdir, config, row, about=kind, apart=True) as run_:
    if run_.done:
      return
    named = {'base': config['policy_dir'], 'size': '', 'pad_token': ''}
    base = open_base(named | {'dtype': policy.config['dtype']})
    pms = [open_scorer(path) for path in config['pm_dirs']]
    asked = prompts_of(config, about.read(config['pm_dirs'][0]).config, base)
    scores = score(base, asked, policy.config, pms, config, run_.progress)
    known = {'hashed_rewards': False, 'pm_pairs': 0}
    known |= {k: policy.config[k] for k in ('data', 'world')}
    asks = [known | {'train_pm_dir': path} for path in config['pm_dirs']]
    labels = [labels_of(ask) | pm_numbers(ask) for ask in asks]
    kinds = [kind for _, kind in asked]
    scored, best = tables_of(scores, kinds, labels, gold_world(known))
    write_csv(run_.path / 'scored.csv', scored)
    if best:
      write_csv(run_.path / 'best_of_n.csv', best)
    run_.finish(prompts=len(asked), replies=int(scores[0].shape[1]))


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('policy', None, 'Workdir of a train_lm or train_ppo.'),
    flags.DEFINE_list('pms', None, 'Workdirs of train_pm, commas between.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
    flags.DEFINE_integer('prompts', 32, 'Held-out prompts.'),
    flags.DEFINE_integer('replies', 256, 'Replies to each.'),
  ]

  def started(options):
    config = {key: options[key] for key in ('prompts', 'replies')}
    config |= {'policy_dir': options['policy'], 'pm_dirs': options['pms']}
    run(config | {'role': 'scored', 'seed': 0}, options['workdir'])

  command.main_of_flags(
    started, values, ('policy', 'pms', 'workdir'), several=True
  )


if __name__ == '__main__':
  main()
