"""Stage 5: RL of one policy against a train PM, watched by a test PM.

    python -m experiments.train_ppo --config=configs/ppo.py --workdir=DIR

An iteration collects replies, scores them with the train PM, penalises their KL
from pi_0, estimates advantages and updates both networks: one compiled program
of five pieces; with `prompt_buckets`, one for each length of prompts. The base
is pi_0; trained is all of it, or adapters over it frozen. Where the config has
`snapshots`, the policies of these iterations are kept besides. By algorithm
'rloo' or 'grpo' there is no value network, and `group` replies to a prompt are
compared with one another (configs/baselines.py). What recipes of other papers
have besides stands in `experiments/shared/recipes.py`.
"""

import math
from typing import NamedTuple

import jax
import numpy as np

from experiments.shared import (
  command,
  comparisons,
  compute,
  measuring,
  policies,
  recipes,
  rl_tables,
  shown,
  trained,
  watching,
)
from experiments.shared.devices import mesh_from, share_of, spread
from experiments.shared.models import (
  arithmetic,
  open_base,
  open_scorer,
  open_scorers,
)
from rlhf_jax.data.buckets import BucketedBatches
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.train.about import About
from rlhf_jax.train.optimiser import learning_rate_at, make_optimiser
from rlhf_jax.train.ppo import Frozen
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import PPOHyper, Prompts


class Algorithm(NamedTuple):
  """What updates the policy.

  Attributes:
    name: 'ppo', 'rloo' or 'grpo'; the last two have no value network.
    group: replies to each prompt of an iteration; None: one, with a critic.
  """

  name: str
  group: int | None

  @property
  def replies(self):
    """Rows of a batch that a prompt has."""
    return self.group or 1


def algorithm_of(config):
  """The Algorithm of a config: PPO where it names none.

  Raises:
    ValueError: if groups do not fit into a batch.
  """
  name, group = config.get('algorithm', 'ppo'), config.get('group', 1)
  if name == 'ppo':
    return Algorithm(name, None)
  if group < 2 or config['batch_size'] % group:
    raise ValueError(
      f'wanted groups of 2 or more replies that divide batch_size='
      f'{config["batch_size"]} for {name}, got group={group}'
    )
  return Algorithm(name, group)


def hyper_at(config, base, iteration):
  """The traced scalars of one iteration: warm-up, then constant rates."""
  rate = learning_rate_at(
    iteration,
    peak=config['learning_rate'] or base.rate * config['lr_multiple'],
    total=config['iterations'],
    warmup=config['warmup_iterations'],
    shape=config.get('schedule_shape', 'constant'),
  )
  return PPOHyper(
    policy_learning_rate=rate,
    value_learning_rate=rate * config['value_lr_ratio'],
    kl_coef=config['kl_coef'],
    clip=config['clip'],
    value_clip=config['value_clip'] or math.inf,
    value_coef=config.get('value_coef', 1.0),
    discount=config['discount'],
    gae_lambda=config['gae_lambda'],
    truncation_penalty=config['truncation_penalty'],
    mixed_coef=config.get('ptx_coef', 0.0),
  )


def initial_state(config, base, mesh):
  """Policy = pi_0, with PPO a value network, with a recipe what that has."""
  params = {'policy': trained.policy(config, base)}
  if algorithm_of(config).group is None:
    params['value'] = initial_value(config, base, mesh)
  recipe, b2 = recipes.recipe_of(config), config['b2']
  tx = recipe.optimiser(b2) if recipe else make_optimiser(b2=b2)
  # Its own: the state is donated.
  state = spread(init_state(params, tx), mesh)
  state = recipes.averaged(config, state, mesh)
  return recipes.controlled(config, state, mesh)


def initial_value(config, base, mesh):
  """The value network, from a PM of its size, or with a zero head."""
  if config['value_pm_dir']:
    value = open_scorer(config['value_pm_dir'], mesh, arithmetic(config))
    if value.way is not trained.way_of(config):
      raise ValueError(
        f'the value network starts as {config["value_pm_dir"]}, which trained '
        f'{value.way.kind}: wanted one that trained what this run trains '
        f'({config["trained"]}), with the same alpha'
      )
    return value.trained
  return trained.zero_value(config, base)


def prompt_batches(config, base, found, share=None):
  """The stream of training prompts: one length, or a batch a length bucket."""
  encoded = encode_prompts(
    [text for text, _ in found], base.tokenizer, config['max_prompt']
  )
  rows = np.arange(len(encoded.length_N))
  prompts = Prompts(encoded.tokens_NP, encoded.length_N, rows)
  count = config['batch_size'] // algorithm_of(config).replies
  order = (count, config['seed'])
  if not config['prompt_buckets']:
    return Batches(prompts, *order, share=share)
  edges = config['prompt_buckets']
  return BucketedBatches(prompts, prompts.length_B, edges, *order, share)


def programs_of(config, base, way, scorers, mesh):
  """(iteration, evaluation of a policy), compiled when they are called."""
  sampling = policies.sampling_of(
    base.tokenizer, config['max_reply'], config['temperature']
  )
  collect, score, penalise, estimate, update = policies.ppo_pieces(
    base.functions,
    way,
    scorers.functions[0],
    sampling,
    config['b2'],
    tuple(
      config[k]
      for k in ('passes', 'minibatch_size', 'microbatches', 'scoring_parts')
    ),
    *algorithm_of(config),
    recipes.recipe_of(config),
  )
  return (
    policies.ppo_iteration(
      base.size,
      collect,
      score,
      penalise,
      estimate,
      update,
      mesh,
      config['on_nonfinite'],
      recipes.controller_of(config),
    ),
    policies.evaluation_of(config, base, way, scorers, mesh),
  )


def run(config, workdir):
  """Trains; writes `params`, rl_curve, rl_subsets, rl_pi0 and samples.json."""
  comparisons.require_data(config)
  algorithm_of(config)  # or it cannot be, before a run has a directory
  base = open_base(config, weights=False)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('train_ppo', 'policy', config['trained'], config['base'])
  watching.panel_of(config)  # likewise
  loggers = config.get('loggers', ())
  with Run(workdir, config, row, about=about, loggers=loggers) as run_:
    if run_.done:
      return
    mesh, way = mesh_from(config['mesh']), trained.way_of(config)
    base = open_base(config, mesh)
    networks = open_scorers(config, mesh)
    found = comparisons.read_prompts(config, base)
    asked = found['train']
    scorers = policies.scorers_of(config, base, networks, mesh, asked)
    iteration_fn, evaluate = programs_of(config, base, way, scorers, mesh)
    own = share_of(mesh)
    prompts = prompt_batches(config, base, asked, own)
    prompts, mixed = recipes.with_texts(config, prompts, base.tokenizer, own)
    counts = comparisons.read_counts(config, base) | mixed
    comparisons.write_reading(run_.path, counts)
    measured = lambda config, found: measuring.HeldOut(
      config, base, scorers, evaluate, found
    )
    held_out = measured(config, found['test'])
    read = shown.of_run(config, base, way, mesh, held_out, measured)
    state = run_.restore(initial_state(config, base, mesh), prompts)
    scores = lambda count: pi0_scores(config, base, measured, found, count)
    state = recipes.fitted(config, run_, state, scores, mesh)
    frozen = Frozen(base.params, scorers.weights[0], trained.bases(way, base))
    judge = networks[0].functions if networks else None
    spent = compute.of_ppo(config, base.functions, judge)
    running = iteration_fn, state, frozen, prompts
    train(config, run_, base, held_out, running, spent, read)


def pi0_scores(config, base, measured, found, count):
  """Train-PM scores of `count` replies of pi_0 or more, to training prompts."""
  whole = -(-count // config['eval_batch']) * config['eval_batch']
  asked = measured(config | {'eval_prompts': whole}, found['train'])
  start = trained.policy(config, base)
  return asked.measure(start, 0, row_offset=recipes.APART)['score_0']


def train(config, run_, base, held_out, running, spent, read=None):
  """The loop: iterations, and measurements at fixed checkpoints.

  Args:
    config: of the stage.
    run_: Run.
    base: Base of the policy.
    held_out: `measuring.HeldOut`.
    running: (iteration, state, frozen, prompts).
    spent: what done.json says of the compute, from `compute.of_ppo`.
    read: Shown that the policies of some checkpoints answer, or None.
  """
  iteration_fn, state, frozen, prompts = running
  rng = jax.random.key(config['seed'])
  updates = config['passes'] * config['batch_size'] // config['minibatch_size']
  points = rl_tables.evaluated_iterations(config)
  total = config['iterations']
  replies = algorithm_of(config).replies
  kept = shown.snapshots_of(points, config['shown']['snapshots'])
  start = trained.policy(config, base)
  with run_.clock.phase('measure'):
    pi0 = held_out.measure_pi0(start)
  panel = watching.panel_of(config)
  health = watching.Health(run_, panel, int(state.step))
  compute.tell_ppo(run_, config, spent, updates)

  def measure(policy, iteration):
    told = config | recipes.coef_of(config, state)
    with run_.clock.phase('measure'):
      mark = rl_tables.log_checkpoint(
        told, run_, iteration * updates, held_out, policy, pi0, iteration
      )
      if read and iteration in kept:
        read.note(run_.path, policy, iteration)
    health.note('checkpoint', iteration * updates, mark)

  if int(state.step) == 0:
    measure(start, 0)
  for iteration in run_.progress(int(state.step) // updates, total):
    with run_.clock.phase('data'):
      batch = next(prompts)
    state, metrics = iteration_fn(
      state, frozen, batch, rng, hyper_at(config, base, iteration)
    )
    done = (iteration + 1) * updates
    asked = np.repeat(prompts.last_rows, replies)
    metrics = run_.watch(done, metrics, asked)
    if iteration % config['log_every'] == 0:
      health.note('train', done, run_.log(done, metrics))
    if iteration + 1 in points:
      measure(recipes.policy_of(state), iteration + 1)
    if iteration + 1 in config.get('snapshots', ()):
      keep_snapshot(config, run_.path, base, state, iteration + 1)
    if (iteration + 1) % config['checkpoint_every'] == 0:
      run_.save(state, prompts)
  curve = rl_tables.write_tables(run_, pi0)
  rl_tables.print_curve(curve, rl_tables.pi0_rows(pi0), config['seed'])
  policy = recipes.policy_of(state)
  run_.save_params(spread(policy, None), total * updates)
  run_.finish(iterations=total, train_pm=curve[-1]['train_pm'], **spent)


def keep_snapshot(config, path, base, state, iteration):
  """Keeps the policy of an iteration as a run of its own, snapshots/ITERATION.

  Whatever opens a finished policy opens it.
  """
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('train_ppo', 'policy', config['trained'], config['base'])
  folder = path / 'snapshots' / str(iteration)
  with Run(folder, config | {'iterations': iteration}, row, about=about) as own:
    if not own.done:
      policy = recipes.policy_of(state)
      own.save_params(spread(policy, None), iteration)
      own.finish(iterations=iteration)


if __name__ == '__main__':
  command.main(run, 'configs/ppo.py', report=True, several=True)
