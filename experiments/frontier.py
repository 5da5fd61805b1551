"""The best reward that any policy has at each KL, from pi_0's replies alone.

    python -m experiments.frontier --run=RL_RUN --workdir=DIR
    python -m experiments.frontier --policy=LM [--pm=PM_RUN] --workdir=DIR

`--run` is the workdir of a finished train_ppo: its pi_0, its train PM, test PM
and gold, and held-out prompts of its own. `--policy` needs no RL: a run of
train_lm, or an imported model, writes the replies; `--pm`, a run of train_pm,
scores them and has the held-out prompts. Without `--pm` the score is gold, and
the prompts are new ones of the world that the language model was trained on.
Many replies to few prompts, of one kind if `--kind` says so, are sampled and
scored once; the curve stops where fewer than 20 of them carry it
(`rlhf_jax/analysis/frontier.py`). Written are frontier.csv and best_of_n.csv,
of all prompts and of each kind of them, and scores.npz; printed are the bow,
the exponent, the shape of the scores, and, of a run, the efficiency of its
policy: its gain over the frontier's at that KL. A study runs it after its
policies (`frontier` in configs/presets/whole.py says of how many prompts and
replies).
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from absl import flags

from experiments.shared import (
  command,
  comparisons,
  frontier_tables,
  measuring,
  policies,
  replies,
  sources,
  trained,
)
from experiments.shared.best_of_n_tables import ALL
from experiments.shared.devices import mesh_from
from experiments.shared.files import write_csv
from experiments.shared.labels import gold_world, labels_of, pm_numbers
from experiments.shared.models import open_base, open_scorer, open_scorers
from experiments.shared.workers import with_workers
from rlhf_jax.analysis.gain_bound import MIN_ESS
from rlhf_jax.train import about, hosts
from rlhf_jax.train.run import Run

SCORERS = {'train': 'score_0', 'test': 'score_1', 'gold': 'gold'}
KINDS = (ALL, 'helpful', 'harmless')
DEFAULTS = {'run_dir': '', 'policy': '', 'pm': '', 'kind': ALL}


def of_kind(prompts, kind):
  """The prompts, (text, kind), of a kind; of every kind if it is ALL.

  Raises:
    ValueError: if there are none.
  """
  found = [pair for pair in prompts if kind in (ALL, pair[1])]
  if not found:
    raise ValueError(
      f'wanted held-out prompts of --kind={kind}, got none: take another kind'
    )
  return found


def run_scores(config, prompts, count, kind, progress):
  """({scorer: score_PN} of pi_0's replies, the kind of each prompt).

  Args:
    config: of a PPO run; a batch has about the rows of its `eval_batch`.
    prompts: how many of its held-out prompts, the same for every seed.
    count: of replies to each, a multiple of those that a batch holds of it.
    kind: of the prompts, one of KINDS.
    progress: (start, total) -> iterator over the batches.
  """
  mesh, way = mesh_from(config['mesh']), trained.way_of(config)
  base = open_base(config, mesh)
  networks = open_scorers(config, mesh)
  read = comparisons.read_prompts(config, base)
  scorers = policies.scorers_of(config, base, networks, mesh, read['train'])
  found = of_kind(read['test'], kind)
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
  held_out = measuring.HeldOut(config, base, scorers, evaluate, few)
  start, batches = trained.policy(config, base), []
  for batch in progress(0, math.ceil(count * len(order) / rows)):
    out = held_out.measure(start, 0, row_offset=rows * (batch + 1))
    batches.append({name: out[key] for name, key in SCORERS.items()})
  scores = replies.by_prompt(batches, len(order))
  known = {k: x_PN for k, x_PN in scores.items() if np.isfinite(x_PN).all()}
  return known, held_out.kinds[: len(order)]


def settings_of(policy, pm):
  """(data, world, longest prompt, longest reply) of a policy without RL.

  Args:
    policy: a run of train_lm, or an imported model.
    pm: a run of train_pm, or ''.

  Raises:
    ValueError: if neither says which prompts there are.
  """
  own = about.read(policy).config if about.is_run(policy) else {}
  if 'world' in own:
    return tuple(own[k] for k in ('data', 'world', 'max_prompt', 'max_reply'))
  if not pm:
    raise ValueError(
      f'--policy={policy} is no run of train_lm: wanted --pm too, whose '
      'held-out prompts it is to answer'
    )
  theirs = about.read(pm).config
  lengths = (theirs['reading'][k] for k in ('max_prompt', 'max_reply'))
  return theirs['data'], None, *lengths


def prompts_to(config, base, world):
  """[(text, kind)] that a policy without RL is to answer.

  Args:
    config: pm, prompts, kind.
    base: the opened policy.
    world: of new prompts where there is no PM, or None.

  Raises:
    ValueError: if there are none.
  """
  count, kind, rng = config['prompts'], config['kind'], np.random.default_rng
  if config['pm']:
    found = comparisons.read_prompts(about.read(config['pm']).config, base)
    found = of_kind(found['test'], kind)
    return [found[i] for i in rng(0).permutation(len(found))[:count]]
  if world is None:
    raise ValueError('real prompts have no gold score: wanted --pm')
  # Prompts of a world are helpful or harmful, pairs helpful or harmless.
  asked = {'harmless': 'harmful', ALL: None}.get(kind, kind)
  drawn = sources.sample_prompts(world, rng([0, 1]), count, asked)
  named = lambda kind: 'helpful' if kind == 'helpful' else 'harmless'
  return [(prompt.text, named(prompt.kind)) for prompt in drawn]


def policy_scores(config, progress):
  """({scorer: score_PN}, kinds of the prompts, nats_PN) without any RL.

  Nats are -log pi_0(reply | prompt).

  Args:
    config: policy, pm, kind, prompts, replies.
    progress: (start, total) -> iterator over the batches.
  """
  named = {'base': config['policy'], 'size': '', 'pad_token': ''}
  base = open_base(named | {'dtype': 'float32'})
  data, section, *lengths = settings_of(config['policy'], config['pm'])
  simulated = section is not None and data['source'] == 'simulated'
  world = sources.world_of(section) if simulated else None
  few, reward = prompts_to(config, base, world), None
  if config['pm']:
    reward = policies.scorer_of(base, open_scorer(config['pm']))
  batches = []
  sampling = policies.sampling_of(base.tokenizer, lengths[1])
  sample = policies.sampler(base.functions, base.size, sampling)
  for out, texts, kinds in replies.sampled(
    base, sample, few, lengths[0], config['replies'], progress
  ):
    found = {'nats': -out.logp_BT.sum(1)}
    if reward:
      found['train'] = reward(out)
    if world:
      written = policies.decoded(base.tokenizer, *out[:3])
      found['gold'] = sources.gold_scores(world, texts, kinds, written)
    batches.append(found)
  scores = replies.by_prompt(batches, len(few))
  return scores, [kind for _, kind in few], scores.pop('nats')


def check(config):
  """(row of what is asked about, config of its labels, its rl_curve or None).

  Raises:
    ValueError, RunError: saying what is missing or wrong.
  """
  # A curve of no more replies than carry its end has no point.
  for name, least in (('prompts', 2), ('replies', MIN_ESS + 1)):
    if config[name] < least:
      raise ValueError(f'--{name}: wanted {least} or more, got {config[name]}')
  if bool(config['run_dir']) == bool(config['policy']):
    raise ValueError('wanted --run=RL_RUN, or --policy=LM, and not both')
  if config['policy']:
    row = {'role': 'frontier', 'seed': 0, 'size': '', 'n_params': 0}
    if about.is_run(config['policy']):
      row |= about.read(config['policy']).row
    data, world, *_ = settings_of(config['policy'], config['pm'])
    labels = {'data': data, 'world': world, 'hashed_rewards': False}
    labels |= {'train_pm_dir': config['pm'], 'pm_pairs': 0}
    return row | {'half': 'all'}, labels, None
  found = about.read(config['run_dir'])
  if found.about.holds != 'policy':
    raise about.RunError(
      f'{config["run_dir"]} holds {found.about.holds}: wanted the workdir of a '
      'finished train_ppo'
    )
  file = Path(config['run_dir']) / 'rl_curve.csv'
  if not file.exists():
    raise about.RunError(f'{config["run_dir"]} is not finished: no {file.name}')
  return found.row, found.config, pd.read_csv(file)


def run(config, workdir):
  """Samples, scores, writes and prints.

  Args:
    config: prompts, replies, and run_dir; or policy, and pm or ''; kind.
    workdir: of the result.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  asked = DEFAULTS | config
  row, about_it, curve = check(asked)
  row = {k: row[k] for k in ('role', 'seed', 'size', 'n_params', 'half')}
  base = asked['run_dir'] or asked['policy']
  kind = about.About('frontier', 'table', base=base)
  with Run(Path(workdir), config, row, about=kind, apart=True) as run_:
    if run_.done:
      print(f'{run_.path} is finished: its tables are there')
      return
    count, more = [asked[k] for k in ('prompts', 'replies', 'kind')], {}
    if curve is None:
      scores, kinds, more['nats'] = policy_scores(asked, run_.progress)
      print(f'{more["nats"].mean():.1f} nats a reply')
    else:
      scores, kinds = run_scores(about_it, *count, run_.progress)
    edges, best, without = frontier_tables.tables_of(
      with_workers(scores, kinds, gold_world(about_it)),
      kinds,
      labels_of(about_it),
      pm_numbers(about_it),
    )
    write_csv(run_.path / 'frontier.csv', edges)
    write_csv(run_.path / 'best_of_n.csv', best)
    hosts.by_one(np.savez)(run_.path / 'scores.npz', **scores, **more)
    for line in (
      *frontier_tables.lines_of(scores, edges, kinds, curve),
      *without,
    ):
      print(line)
    run_.finish(prompts=asked['prompts'], replies=asked['replies'])


def main():
  """Parses flags; a known error ends in one line and exit code 2."""
  values = [
    flags.DEFINE_string('run', '', 'Workdir of a finished train_ppo.'),
    flags.DEFINE_string('policy', '', 'Language model; a run or an import.'),
    flags.DEFINE_string('pm', '', 'Workdir of a finished train_pm.'),
    flags.DEFINE_enum('kind', 'all', KINDS, 'Kind of the prompts.'),
    flags.DEFINE_string('workdir', None, 'Directory of the result.'),
    flags.DEFINE_integer('prompts', 32, 'Held-out prompts.'),
    flags.DEFINE_integer('replies', 1024, 'Replies of pi_0 to each.'),
  ]

  def started(options):
    names = ('policy', 'pm', 'kind', 'prompts', 'replies')
    config = {'run_dir': options['run']} | {key: options[key] for key in names}
    run(config, options['workdir'])

  command.main_of_flags(started, values, ('workdir',), several=True)


if __name__ == '__main__':
  main()
