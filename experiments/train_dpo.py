"""DPO: a policy from comparisons, beside a preference model and RL.

    python -m experiments.train_dpo --config=configs/dpo.py --workdir=DIR

The base is pi_0, whose log-probabilities of all replies are made once; trained
is all of it, or adapters over it frozen. The pairs are those that `train_pm`
takes with the same settings. What comes out is a policy, as of `train_ppo`, and
is measured as one: at fixed checkpoints, by a train PM, a test PM and gold, on
replies of its own to held-out prompts. No preference model trains it; without a
train_pm_dir it is not measured.
"""

import jax

from experiments.shared import (
  command,
  comparisons,
  compute,
  direct,
  measuring,
  policies,
  rl_tables,
  shown,
  trained,
)
from experiments.shared.devices import mesh_from, share_of, spread
from experiments.shared.models import open_base, open_scorers
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.train.about import About
from rlhf_jax.train.optimiser import learning_rate_at, make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import DirectHyper


def hyper_at(config, base, step):
  """The traced scalars of one step: warm-up, then a constant rate."""
  rate = learning_rate_at(
    step,
    peak=config['learning_rate'] or base.rate * config['lr_multiple'],
    total=config['iterations'],
    warmup=config['warmup_iterations'],
  )
  return DirectHyper(rate, config['beta'])


def watched(config, base, way, mesh):
  """(HeldOut of the run, Shown or None); (None, None) without a train PM."""
  if not (config['train_pm_dir'] or config['hashed_rewards']):
    return None, None
  networks = open_scorers(config, mesh)
  scorers = policies.scorers_of(config, base, networks, mesh)
  evaluate = policies.evaluation_of(config, base, way, scorers, mesh)
  measured = lambda config, found: measuring.HeldOut(
    config, base, scorers, evaluate, found
  )
  held_out = measured(config, comparisons.read_prompts(config, base)['test'])
  return held_out, shown.of_run(config, base, way, mesh, held_out, measured)


def training_pairs(config, base):
  """(DirectBatch of a run's training pairs, counts of what was read).

  They are those that `train_pm` draws with these settings: the same subset,
  half, labels and order.

  Args:
    config: comparisons_dir or data and reading; seed, half, train_subset,
      pairs.
    base: Base.
  """
  found = comparisons.read_pairs(config, base)
  known, _, rows = comparisons.drawn_pairs(config, found)
  return direct.reply_pairs(known, rows), found.counts


def run(config, workdir):
  """Trains; writes `params`, and the tables of a policy."""
  comparisons.require_data(config)
  base = open_base(config, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('train_dpo', 'policy', config['trained'], config['base'])
  loggers = config.get('loggers', ())
  with Run(workdir, config, row, about=about, loggers=loggers) as run_:
    if run_.done:
      return
    mesh, way = mesh_from(config['mesh']), trained.way_of(config)
    base = open_base(config, mesh)
    named, most = (base.functions, base.size), direct.longest_reply(config)
    pairs, counts = training_pairs(config, base)
    comparisons.write_reading(run_.path, counts)
    pairs = direct.with_reference(
      direct.pair_logps(*named, most, mesh),
      base.params,
      pairs,
      config['eval_batch'],
    )
    order = config['batch_size'], config['seed']
    batches = Batches(pairs, *order, share=share_of(mesh))
    state = init_state(
      trained.policy(config, base), make_optimiser(b2=config['b2'])
    )
    state = run_.restore(spread(state, mesh), batches)
    step_fn = direct.direct_step(
      *(named[0], way, named[1]),
      *(config['b2'], config['microbatches'], most, mesh),
      config['on_nonfinite'],
    )
    frozen = trained.frozen_of(way, base.params)
    spent = compute.of_dpo(config, base.functions, len(pairs.prompt_length_B))
    tokens = config['batch_size'] * compute.pair_tokens(
      pairs.chosen_length_B, pairs.rejected_length_B, pairs.prompt_length_B
    )
    compute.tell(run_, spent, config['iterations'], tokens)
    train(
      config,
      run_,
      base,
      watched(config, base, way, mesh),
      (step_fn, state, frozen, batches),
      spent,
    )


def train(config, run_, base, watching, running, spent):
  """The loop: steps, and measurements at fixed checkpoints.

  Args:
    config: of the stage.
    run_: Run.
    base: Base of the policy.
    watching: of `watched`.
    running: (step, state, frozen, batches).
    spent: what done.json says of the compute, from `compute.of_dpo`.
  """
  step_fn, state, frozen, batches = running
  held_out, read = watching
  points, total = rl_tables.evaluated_iterations(config), config['iterations']
  kept = shown.snapshots_of(points, config['shown']['snapshots'])
  rng, start = jax.random.key(config['seed']), trained.policy(config, base)
  pi0 = held_out and held_out.measure_pi0(start)
  asked = config | {'kl_coef': config['beta']}

  def measure(policy, step):
    if held_out and step in points:
      rl_tables.log_checkpoint(asked, run_, step, held_out, policy, pi0, step)
    if read and step in kept:
      read.note(run_.path, policy, step)

  if int(state.step) == 0:
    measure(start, 0)
  for step in run_.progress(int(state.step), total):
    with run_.clock.phase('data'):
      batch = next(batches)
    state, metrics = step_fn(
      state, frozen, batch, rng, hyper_at(config, base, step)
    )
    metrics = run_.watch(step + 1, metrics, batches.last_rows)
    if (step + 1) % config['log_every'] == 0:
      run_.log(step + 1, metrics)
    with run_.clock.phase('measure'):
      measure(state.params, step + 1)
    if (step + 1) % config['checkpoint_every'] == 0:
      run_.save(state, batches)
  found = {}
  if held_out:
    curve = rl_tables.write_tables(run_, pi0)
    rl_tables.print_curve(curve, rl_tables.pi0_rows(pi0), config['seed'])
    found['train_pm'] = curve[-1]['train_pm']
  run_.save_params(spread(state.params, None), total)
  run_.finish(iterations=total, **found, **spent)


if __name__ == '__main__':
  command.main(run, 'configs/dpo.py', report=True, several=True)
