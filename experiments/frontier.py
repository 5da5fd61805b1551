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
(`rlhf_jax/analysis/frontier.py`). Written are frontier.csv, best_of_n.csv and
scores.npz; printed are the bow, the exponent, the shape of the scores, and, of
a run, the efficiency of its policy: its gain over the frontier's at that KL.
"""

import math
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from absl import flags

from experiments.shared import (
  command,
  comparisons,
  policies,
  sources,
  trained,
)
from experiments.shared.devices import mesh_from
from experiments.shared.files import write_csv
from experiments.shared.models import open_base, open_scorer, open_scorers
from rlhf_jax.analysis import frontier
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.train import about
from rlhf_jax.train.run import Run
from rlhf_jax.types import Prompts

SCORERS = {'train': 'score_0', 'test': 'score_1', 'gold': 'gold'}
COLUMN = {'train': 'train_pm', 'test': 'test_pm', 'gold': 'gold'}
BATCH = 256  # replies sampled at a time
SQRT_KL = (0.5, 1.0, 1.5, 2.0)  # where the efficiency is printed


def of_kind(prompts, kind):
  """The prompts, (text, kind), of a kind; of both if it is 'all'.

  Raises:
    ValueError: if there are none.
  """
  found = [pair for pair in prompts if kind in ('all', pair[1])]
  if not found:
    raise ValueError(
      f'wanted held-out prompts of --kind={kind}, got none: take another kind'
    )
  return found


def sampled_scores(config, prompts, replies, kind, progress):
  """{scorer: score_PN} of pi_0's replies to held-out prompts.

  Args:
    config: of the PPO run.
    prompts: how many of its held-out prompts, the same for every seed.
    replies: to each, a multiple of the replies that a batch holds of it.
    kind: of the prompts: 'helpful', 'harmless' or 'all'.
    progress: (start, total) -> iterator over the batches.
  """
  mesh, way = mesh_from(config['mesh']), trained.way_of(config)
  base = open_base(config, mesh)
  networks = open_scorers(config, mesh)
  scorers = policies.scorers_of(config, base, networks, mesh)
  evaluate = policies.evaluation_of(config, base, way, scorers, mesh)
  found = of_kind(comparisons.read_prompts(config, base)['test'], kind)
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


def settings_of(policy, pm):
  """(data, world, longest prompt, longest reply) of a policy without RL.

  Args:
    policy: of --policy.
    pm: of --pm, or ''.

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


def prompts_to(options, base, world):
  """[(text, kind)] that a policy without RL is to answer.

  Raises:
    ValueError: if there are none.
  """
  count, kind, rng = options['prompts'], options['kind'], np.random.default_rng
  if options['pm']:
    found = comparisons.read_prompts(about.read(options['pm']).config, base)
    found = of_kind(found['test'], kind)
    return [found[i] for i in rng(0).permutation(len(found))[:count]]
  if world is None:
    raise ValueError('real prompts have no gold score: wanted --pm')
  # Prompts of a world are helpful or harmful, pairs helpful or harmless.
  asked = {'harmless': 'harmful', 'all': None}.get(kind, kind)
  drawn = sources.sample_prompts(world, rng([0, 1]), count, asked)
  return [(p.text, kind_of(p.kind)) for p in drawn]


def kind_of(kind):
  """The kind of pairs on prompts of a kind."""
  return 'helpful' if kind == 'helpful' else 'harmless'


def policy_scores(options, progress):
  """({scorer: score_PN}, nats_PN) of replies of a policy without RL.

  Nats are -log pi_0(reply | prompt).

  Args:
    options: of `run`.
    progress: (start, total) -> iterator over the batches.
  """
  named = {'base': options['policy'], 'size': '', 'pad_token': ''}
  base = open_base(named | {'dtype': 'float32'})
  data, section, *lengths = settings_of(options['policy'], options['pm'])
  simulated = section is not None and data['source'] == 'simulated'
  world = sources.world_of(section) if simulated else None
  few, reward = prompts_to(options, base, world), None
  if options['pm']:
    pm = open_scorer(options['pm'])
    scorers = policies.scorers_of({}, base, [pm, pm], None)
    reward, weights = jax.jit(scorers.functions[0]), scorers.weights[0]
  sampling = policies.sampling_of(base.tokenizer, lengths[1])
  sample = policies.sampler(base.functions, base.size, sampling)
  each = max(1, BATCH // len(few))
  texts, kinds = zip(*few * each, strict=True)
  arrays = encode_prompts(texts, base.tokenizer, lengths[0])
  rows, batches = np.arange(len(texts)), []
  for batch in progress(0, math.ceil(options['replies'] / each)):
    names = rows + batch * len(rows)
    asked = Prompts(arrays.tokens_NP, arrays.length_N, names)
    out = jax.device_get(sample(base.params, asked, jax.random.key(0)))
    replies = policies.decoded(base.tokenizer, *out[:3])
    found = {'nats': -out.logp_BT.sum(1)}
    if reward:
      found['train'] = np.asarray(reward(weights, *out[:3]))
    if world:
      found['gold'] = sources.gold_scores(world, texts, kinds, replies)
    batches.append(found)
  joined = {
    name: np.concatenate([b[name].reshape(-1, len(few)) for b in batches]).T
    for name in batches[0]
  }
  return joined, joined.pop('nats')


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
    curve: rl_curve of the run; None: there is no policy of RL.
  """
  for name, score_PN in scores.items():
    edge = pd.DataFrame([row for row in edges if row['scorer'] == name])
    found, shape = frontier.moments(score_PN), frontier.shape(edge)
    tilted = frontier.tilted_moments(edge)
    yield (
      f'{name}: to sqrt(KL) {shape["sqrt_kl"]:.2f}, bow {shape["bow"]:+.3f}, '
      f'exponent {shape["p"]:.3f}; within prompts: standard deviation '
      f'{math.sqrt(found["variance"]):.3f}, skew {found["skew"]:+.2f}, '
      f'excess kurtosis {found["kurtosis"]:+.2f}; tilted to the end: skew '
      f'{tilted["tilted_skew"]:+.2f}, '
      f'excess kurtosis {tilted["tilted_kurtosis"]:+.2f}'
    )
    if curve is None:
      continue
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


def checked(options):
  """The RunFile that is asked about, and its rl_curve.csv or None.

  Raises:
    ValueError, RunError: saying what is missing or wrong.
  """
  for name in ('prompts', 'replies'):
    if options[name] < 2:
      raise ValueError(f'--{name}: wanted 2 or more, got {options[name]}')
  if bool(options['run']) == bool(options['policy']):
    raise ValueError('wanted --run=RL_RUN, or --policy=LM, and not both')
  if options['policy']:
    row = {'role': 'frontier', 'seed': 0, 'size': '', 'n_params': 0}
    if about.is_run(options['policy']):
      row |= about.read(options['policy']).row
    return about.RunFile(None, {}, row | {'half': 'all'}), None
  found = about.read(options['run'])
  if found.about.holds != 'policy':
    raise about.RunError(
      f'{options["run"]} holds {found.about.holds}: wanted the workdir of a '
      'finished train_ppo'
    )
  file = Path(options['run']) / 'rl_curve.csv'
  if not file.exists():
    raise about.RunError(f'{options["run"]} is not finished: no {file.name}')
  return found, pd.read_csv(file)


def run(options):
  """Samples, scores, writes and prints; `options` has the flags' names.

  Raises:
    ValueError, OSError, RunError: saying what is missing or wrong.
  """
  options = {'run': '', 'policy': '', 'pm': '', 'kind': 'all'} | options
  found, curve = checked(options)
  names = ('run', 'policy', 'pm', 'kind', 'prompts', 'replies')
  config = {key: options[key] for key in names}
  row = {k: found.row[k] for k in ('role', 'seed', 'size', 'n_params', 'half')}
  base = options['run'] or options['policy']
  kind = about.About('frontier', 'table', base=base)
  with Run(Path(options['workdir']), config, row, about=kind) as run_:
    if run_.done:
      print(f'{run_.path} is finished: its tables are there')
      return
    many, more = (options['prompts'], options['replies']), {}
    if curve is None:
      scores, more['nats'] = policy_scores(options, run_.progress)
      print(f'{more["nats"].mean():.1f} nats a reply')
    else:
      scores = sampled_scores(
        found.config, *many, options['kind'], run_.progress
      )
    edges, best = tables_of(scores)
    write_csv(run_.path / 'frontier.csv', edges)
    write_csv(run_.path / 'best_of_n.csv', best)
    np.savez(run_.path / 'scores.npz', **scores, **more)
    for line in lines_of(scores, edges, curve):
      print(line)
    run_.finish(prompts=many[0], replies=many[1])


KINDS = ('all', 'helpful', 'harmless')


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
  command.main_of_flags(run, values, ('workdir',))


if __name__ == '__main__':
  main()
