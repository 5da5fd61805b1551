"""Stage 4: a preference model, from a language model.

    python -m experiments.train_pm --config=configs/pm.py --workdir=DIR

The base may be a run of ours (a preference model's too, which then goes on with
its head: preference-model pretraining), a Hugging Face folder, a GGUF file or
smollm2;
trained is all of it, or adapters or a head over it frozen; pairs are read as
tokens, as features that the frozen blocks made once, or as these pooled: a head
on several layers is then fitted at once (docs/real-pairs.md). With a loss other
than 'pairs' rankings of several replies are read (docs/kwise.md).
"""

import jax
import numpy as np

from experiments.shared import (
  command,
  comparisons,
  compute,
  exporting,
  heads,
  pm_tables,
  pooling,
  ranking_plan,
  rankings,
  readers,
  trained,
)
from experiments.shared.devices import mesh_from, spread
from experiments.shared.files import write_csv
from experiments.shared.models import open_base, open_run
from rlhf_jax.data.records import KINDS
from rlhf_jax.linear import head
from rlhf_jax.train import hosts
from rlhf_jax.train.about import About
from rlhf_jax.train.averaging import AveragedState
from rlhf_jax.train.optimiser import learning_rate_at, make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import PMHyper


def curve_points(total, batch_size, points):
  """Steps at which the learning curve is read: halvings of the data."""
  wanted = {max(1, round(total / 2**i)) for i in range(points)}
  return sorted(step for step in wanted if step * batch_size > 0)


def initial_state(config, base, mesh):
  """What is trained, with its average where one is kept: it starts there."""
  rng = trained.member_key(config)
  params = trained.preference_model(config, base, rng)
  state = init_state(params, make_optimiser(b2=config['b2']))
  if config['average_eta'] >= 0:
    state = AveragedState(state, params)
  return spread(state, mesh)


def kept(state):
  """The parameters to evaluate and to keep: the average, or the last."""
  return state.average if isinstance(state, AveragedState) else state.params


def rate_at(config, base, step, total):
  """Learning rate of one step."""
  return learning_rate_at(
    step,
    peak=config['learning_rate'] or base.rate * config['lr_multiple'],
    total=total,
    warmup=int(config['warmup'] * total),
    shape=config['schedule_shape'],
  )


def run(config, workdir):
  """Trains; writes `params`, pm_curve, pm_pairs, and floors on real pairs."""
  ranked = rankings.reads(config)
  comparisons.require_data(config)
  scored = config['trained'] == 'all'
  base = open_base(config, weights=False, scored=scored)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About(
    'train_pm', 'preference model', config['trained'], config['base']
  )
  loggers = config.get('loggers', ())
  with Run(workdir, config, row, about=about, loggers=loggers) as run_:
    if run_.done:
      export(config, run_.path)
      return
    mesh, way = mesh_from(config['mesh']), trained.way_of(config)
    base = open_base(config, mesh, scored=scored)
    pairs = (rankings if ranked else comparisons).read_pairs(config, base)
    comparisons.write_reading(run_.path, pairs.counts)
    drawn = _, test, rows = comparisons.drawn_pairs(config, pairs)
    readers.require_read(config)
    if config['read'] == 'pooled':
      fit_pooled(config, run_, base, pairs, drawn)
      return
    opened = config, base, way, mesh
    if ranked:
      plan = ranking_plan.plan_of(*opened, pairs, drawn)
    else:
      plan = readers.plan_of(*opened, drawn)
    frozen = trained.frozen_of(way, base.params)
    state = run_.restore(initial_state(config, base, mesh), plan.batches)
    known = drawn[0]
    tokens = plan.pairs * compute.pair_tokens(
      known.chosen_length_N, known.rejected_length_N, known.prompt_length_N
    )
    tokens = None if ranked else tokens  # candidates are read once
    compute.tell(run_, plan.spent, plan.total, tokens)
    state = train(config, run_, (base, frozen), state, plan, test)
    params, more = kept(state), {}
    if ranked:
      params, more = ranking_plan.shifted(*opened, pairs, frozen, params)
      ranking_plan.write_curve(run_)
    run_.save_params(spread(params, None), plan.total)
    seen = round(plan.total * plan.pairs)
    score = lambda params, count: plan.scores((frozen, params), count)
    finish(run_, config, score, params, test, seen)
    shown = score(params, pm_tables.EXAMPLES)
    pm_tables.write_examples(run_.path, base.tokenizer, test, shown)
    said = summary(run_, config, pairs, len(rows), seen)
    run_.finish(**said, **plan.spent, **more)
    export(config, run_.path)


def fit_pooled(config, run_, base, pairs, drawn):
  """In place of the loop: fits a head on pooled features of all pairs.

  Exports it too, where that is asked for.

  Args:
    config: seed, head, and what the evaluations read.
    run_: Run.
    base: Base.
    pairs: Pairs.
    drawn: (training pairs, test pairs, numbers of those to train on).

  Raises:
    ValueError: if something else than a head is trained.
  """
  if config['trained'] != 'head':
    raise ValueError(
      "wanted trained 'head' with read 'pooled', got "
      f'{config["trained"]!r}: nothing below a pooled feature can be trained'
    )
  (known, test, rows), count = drawn, len(drawn[0].kind_N)
  both = heads.both_sides(comparisons.Pairs(known, test, {}))
  pooled = pooling.pooled_pairs(config, base, both)
  data = heads.Data(pooled[:count], known.kind_N, known.prompt_index_N)
  settings = heads.settings_of(
    config['head'], pooled.shape[3], config['head']['conditional']
  )
  rng = np.random.default_rng([config['seed'], 3])
  found, choice = head.fit(*data.take(rows), settings, rng)
  score = lambda n: heads.sides(found, pooled[count:][:n])
  run_.restore(found)  # no checkpoint: rows of a run that was killed go
  log_accuracy(config, run_, 1, test, score, len(rows))
  run_.save_params({'head': trained.pooled_params(found)}, 1)
  finish(run_, config, lambda _, n: score(n), found, test, len(rows))
  shown = score(pm_tables.EXAMPLES)
  pm_tables.write_examples(run_.path, base.tokenizer, test, shown)
  layers = trained.pooled_layers(config['head']['layers'], base.functions)
  said = heads.choice_row(choice, layers)
  run_.finish(**summary(run_, config, pairs, len(rows), len(rows)), head=said)
  export(config, run_.path)


def train(config, run_, opened, state, plan, test):
  """The loop: steps, and accuracies at fixed points of the curve.

  Args:
    config: seed, batch_size, curve_points, log_every, checkpoint_every, and
      what `rate_at` reads.
    run_: Run.
    opened: (Base, what of it stays frozen).
    state: from which it goes on.
    plan: plans.Plan.
    test: PairArrays of the held-out pairs.

  Returns:
    The last state.
  """
  (base, frozen), total = opened, plan.total
  key = jax.random.key(config['seed'])
  points = curve_points(total, config['batch_size'], config['curve_points'])
  for step in run_.progress(int(state.step), total):
    hyper = PMHyper(rate_at(config, base, step, total))
    with run_.clock.phase('data'):
      batch = next(plan.batches)
    state, metrics = plan.step(state, frozen, batch, key, hyper)
    own = plan.rows[plan.batches.last_rows]
    metrics = run_.watch(step + 1, metrics, own)
    if (step + 1) % config['log_every'] == 0:
      run_.log(step + 1, metrics)
    if step + 1 in points:
      both = frozen, kept(state)
      score = lambda count, both=both: plan.scores(both, count)
      seen = round((step + 1) * plan.pairs)
      with run_.clock.phase('measure'):
        log_accuracy(config, run_, step + 1, test, score, seen)
        plan.note(run_, step + 1, both)
    if (step + 1) % config['checkpoint_every'] == 0:
      run_.save(state, plan.batches)
  return state


def log_accuracy(config, run_, step, test, score, seen):
  """Logs a row of pm_curve for each kind of held-out pair.

  Args:
    config: curve_eval_pairs, and what `accuracy_rows` reads.
    run_: Run.
    step: how many are done.
    test: PairArrays of the held-out pairs.
    score: number of pairs, or None for all -> scores of both sides.
    seen: training pairs so far.
  """
  count = config['curve_eval_pairs'] or None
  part = test.take(slice(None, count))
  for line in pm_tables.accuracy_rows(config, part, score(count), seen):
    run_.log(step, line, kind='curve')


def export(config, path):
  """Writes the finished model for transformers, if that is asked for."""
  wanted = config['export'] and path / config['export']
  if wanted and not hosts.once(wanted.exists):
    exporting.write(open_run(path), path, wanted)


def finish(run_, config, score, params, test, seen):
  """Writes the tables at the end of a run.

  Every point of every learning curve is read on the same pairs; the longer
  evaluation goes to pm_pairs alone. Where the labels are people's, and a rule
  such as 'the longer reply wins' may explain them, floors compares with it.
  """
  count = config['final_eval_pairs']
  if count:
    count = None if count < 0 else count
    table = pm_tables.pair_table(
      config, test.take(slice(None, count)), score(params, count), seen
    )
    pm_tables.write_pairs(run_.path, table)
    if table['p_label'].isna().all():
      pm_tables.write_floors(run_.path, config['seed'])
  curve = [
    {k: v for k, v in line.items() if k != 'step'}
    for line in run_.rows('curve')
  ]
  write_csv(run_.path / 'pm_curve.csv', curve)


def summary(run_, config, pairs, distinct, seen):
  """What done.json says of the run."""
  kinds = comparisons.asked_subset(config).kinds
  tested = 'mix' if len(kinds) > 1 else KINDS[kinds[0]]
  own = [
    line['accuracy']
    for line in run_.rows('curve')
    if line['eval_subset'] == tested
  ]
  found = {'pairs': seen, 'distinct_pairs': distinct, 'accuracy': own[-1]}
  return found | ({'read': pairs.counts} if pairs.counts else {})


if __name__ == '__main__':
  command.main(run, 'configs/pm.py', report=True, several=True)
