"""Stage 2: a language model of one size, trained on texts or demonstrations.

    python -m experiments.train_lm --config=configs/lm.py --workdir=DIR

Objectives: 'texts', next-token loss on every token of the texts of stage 1,
from fresh weights; 'demonstrations', on the replies of `make_demonstrations`
alone, from a base, which is supervised finetuning (docs/demonstrations.md).
"""

import functools
import math

import jax
import numpy as np

from experiments.shared import command, compute, policies, sources, trained
from experiments.shared.demonstrations import Epochs, held_out, require_rule
from experiments.shared.devices import (
  jit_step,
  made,
  mesh_from,
  row_parts,
  share_of,
  spread,
)
from experiments.shared.files import read_arrays, write_csv
from experiments.shared.models import (
  RUNG,
  arithmetic,
  open_base,
  open_scorer,
)
from rlhf_jax.data.packing import PackedBatches
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.evals.language import nats_per_token
from rlhf_jax.train.about import About
from rlhf_jax.train.finite import with_guard
from rlhf_jax.train.optimiser import learning_rate_at, make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state, make_lm_step
from rlhf_jax.types import LMBatch, LMHyper, Prompts

LAST = 10  # logged training losses whose mean is reported
TEXTS, DEMONSTRATIONS = 'texts', 'demonstrations'


@functools.cache
def lm_step(
  functions,
  label,
  b2,
  weight_decay,
  microbatches,
  packed,
  mesh,
  on_nonfinite='stop',
  way=None,
):
  """Jitted language-model step; several texts a row if packed.

  With a Way of adapters: step(state, base, batch, rng, hyper).
  """
  step = make_lm_step(
    policies.split_model(functions),
    make_optimiser(b2=b2, weight_decay=weight_decay),
    microbatches=microbatches,
    packed=packed,
    combine=way.attach if way else None,
  )
  return jit_step(with_guard(step, on_nonfinite), f'lm_step_{label}', mesh)


def texts_of(config, name):
  """The rows of `text_dir` in a file of that name, as an LMBatch.

  Where the objective is demonstrations they say where their replies start.
  """
  file, names = f'{config["text_dir"]}/{name}.npz', ['tokens_NT', 'length_N']
  starts = objective_of(config) == DEMONSTRATIONS
  data = read_arrays(file, *names, *(['loss_start_N'] if starts else []))
  length_N = data['length_N']
  return LMBatch(
    data['tokens_NT'].astype(np.int32),
    length_N,
    data['loss_start_N'] if starts else np.zeros_like(length_N),
  )


def objective_of(config):
  """'texts' or 'demonstrations'; configs of before have texts."""
  return config.get('objective', TEXTS)


def batches_of(config, arrays, mesh, pad_id):
  """The stream of batches: a text a row, or packed into fewer rows."""
  order, share = (config['batch_size'], config['seed']), share_of(mesh)
  if not config['pack']:
    return Batches(arrays, *order, share=share)
  numbers = arrays._replace(tokens_BT=np.arange(len(arrays.length_B)))
  parts = math.lcm(config['microbatches'], row_parts(mesh))
  return PackedBatches(
    Batches(numbers, *order),
    config['batch_size'],
    multiple=parts,
    pad_id=pad_id,
    tokens_NT=arrays.tokens_BT,
    share=share,
  )


def writing(config, base, prompts, mesh):
  """(prompts as they are read, params -> Rollout): a reply to each of them."""
  arrays = encode_prompts(prompts, base.tokenizer, config['max_prompt'])
  sampling = policies.sampling_of(base.tokenizer, config['max_reply'])
  sample = policies.sampler(base.functions, base.size, sampling, mesh)
  rows = Prompts(arrays.tokens_NP, arrays.length_N, np.arange(len(prompts)))
  key = jax.random.key(config['seed'])
  return arrays.text, lambda params: sample(params, rows, key)


def sample_gold(config, base, params, mesh):
  """Mean gold of the model's own replies; NaN on real data."""
  if config['data']['source'] != 'simulated':
    return float('nan')
  world = sources.world_of(config['world'])
  rng = np.random.default_rng(config['seed'] + 1)
  prompts = sources.sample_prompts(world, rng, config['samples'])
  texts, write = writing(config, base, [p.text for p in prompts], mesh)
  rollout = jax.device_get(write(params))
  replies = policies.decoded(base.tokenizer, *rollout[:3])
  kinds = [p.kind for p in prompts]
  return float(sources.gold_scores(world, texts, kinds, replies).mean())


def answers(config, base, mesh):
  """Function of parameters: the row of a model's replies to held-out prompts.

  One reply to each: mean score under the preference model of `rm_dir` (NaN
  without one), gold (NaN on real data), tokens, and the share that ends.
  """
  prompts, kinds = zip(*held_out(config).prompts, strict=True)
  texts, write = writing(config, base, prompts, mesh)
  reward, world = None, None
  if config['rm_dir']:
    judge = open_scorer(config['rm_dir'], mesh, arithmetic(config))
    reward = policies.scorer_of(base, judge, mesh)
  if config['data']['source'] == 'simulated':
    world = sources.world_of(config['world'])

  def measure(params):
    rollout = write(params)
    score = float(reward(rollout).mean()) if reward else math.nan
    out = jax.device_get(rollout)
    said = policies.decoded(base.tokenizer, *out[:3])
    gold_N = sources.gold_scores(world, texts, kinds, said)
    return {
      'rm_score': score,
      'gold': float(gold_N.mean()),
      'length': float((out.length_B - out.prompt_length_B).mean()),
      'ended': float(out.ended_B.mean()),
    }

  return measure


def opened(config, mesh):
  """(Base, what it starts as: rng -> TrainState).

  Of texts the weights are fresh, and made in pieces on a mesh; of
  demonstrations they are the base's.
  """
  tx = make_optimiser(b2=config['b2'], weight_decay=config['weight_decay'])
  if objective_of(config) == TEXTS:
    base = open_base(named(config), weights=False)
    init = lambda rng: init_state(base.functions.init(rng), tx)
    return base, lambda rng: made(init, mesh, rng)
  base = open_base(named(config), mesh)
  start = lambda _: init_state(trained.policy(config, base), tx)
  return base, lambda rng: spread(start(rng), mesh)


def named(config):
  """The config with the base that the objective starts from."""
  if objective_of(config) == DEMONSTRATIONS:
    require_rule(config)
    return config
  return config | {'base': f'{RUNG}{config["size"]}', 'pad_token': ''}


def stepping(config, base, mesh):
  """(state, batch, rng, hyper) -> (state, metrics), compiled at its call."""
  way = trained.way_of({'trained': 'all'} | config)
  adapted = way.kind == 'adapters'
  step = lm_step(
    base.functions,
    base.size,
    config['b2'],
    config['weight_decay'],
    config['microbatches'],
    config['pack'],
    mesh,
    config['on_nonfinite'],
    way if adapted else None,
  )
  frozen = (base.params,) if adapted else ()
  return lambda state, *rest: step(state, *frozen, *rest)


def rate_at(config, base, step, total):
  """Learning rate of one step: cosine, to `final_rate` of its peak."""
  return learning_rate_at(
    step,
    peak=config['learning_rate'] or base.rate * config.get('lr_multiple', 1.0),
    total=total,
    warmup=int(config['warmup'] * total),
    shape='cosine',
    final=config.get('final_rate', 0.0),
  )


def run(config, workdir):
  """Trains; writes `params`, and `lm.csv` or, of demonstrations, `sft.csv`."""
  asked, kind = named(config), config.get('trained', 'all')
  base = open_base(asked, weights=False)
  row = {'role': config.get('role', 'lm'), 'size': base.size}
  row |= {'seed': config['seed'], 'n_params': base.n_params}
  row |= {'half': config.get('half', 'all')}
  about = About('train_lm', 'language model', kind, asked['base'])
  loggers = config.get('loggers', ())
  with Run(workdir, config, row, about=about, loggers=loggers) as run_:
    if run_.done:
      return
    arrays, mesh = texts_of(config, 'rows'), mesh_from(config['mesh'])
    batches = batches_of(config, arrays, mesh, base.tokenizer.pad_id)
    base, start = opened(config, mesh)
    epochs, rng = None, jax.random.key(config['seed'])
    if objective_of(config) == DEMONSTRATIONS:
      how = (
        policies.text_loss(base.functions, base.size, mesh),
        answers(config, base, mesh),
      )
      rows = len(arrays.length_B)
      epochs = Epochs(
        config, run_, base, trained.way_of(config), mesh, rows, how
      )
    state = run_.restore(start(rng), batches)
    total = epochs.steps[-1] if epochs else config['steps']
    length = arrays.length_B.mean()
    spent = {'tokens': int(total * config['batch_size'] * length)}
    if kind == 'all':
      flops = compute.lm_flops(base.functions, spent['tokens'], length)
      spent['flops'] = flops
    compute.tell(run_, spent, total, spent['tokens'] / total)
    state = train(config, run_, base, (state, batches, rng), total, epochs)
    params = state.params
    if epochs:
      params, found = epochs.finish(params)
    else:
      found = measured(config, run_, base, params, mesh)
    run_.save_params(spread(params, None), total)
    if not epochs:
      tokens = {'tokens': spent['tokens']}
      write_csv(run_.path / 'lm.csv', [tokens | found])
    run_.finish(**spent, **found)


def train(config, run_, base, running, total, epochs=None):
  """The loop: steps, and measurements after each epoch; the last state.

  Args:
    config: of the stage.
    run_: Run.
    base: Base.
    running: (state, batches, rng).
    total: steps.
    epochs: Epochs of demonstrations; None: nothing is measured on the way.
  """
  state, batches, rng = running
  step_fn = stepping(config, base, mesh_from(config['mesh']))
  points = epochs.steps if epochs else ()
  for step in run_.progress(int(state.step), total):
    hyper = LMHyper(rate_at(config, base, step, total))
    with run_.clock.phase('data'):
      batch = next(batches)
    state, metrics = step_fn(state, batch, rng, hyper)
    metrics = run_.watch(step + 1, metrics, batches.last_rows)
    if (step + 1) % config['log_every'] == 0 or step + 1 == total:
      run_.log(step + 1, metrics)
    if step + 1 in points:
      with run_.clock.phase('measure'):
        epochs.note(state.params, step + 1, metrics['loss'])
    if (step + 1) % config['checkpoint_every'] == 0:
      run_.save(state, batches)
  return state


def measured(config, run_, base, params, mesh):
  """Losses in nats per token, held-out and in training, and gold.

  The held-out texts are dialogues, the training texts are dialogues and plain
  text: the two losses are not of the same mixture. Skipped batches count in
  neither.
  """
  held = texts_of(config, 'heldout')
  losses = [row['loss'] for row in run_.rows('train')]
  losses = [loss for loss in losses if math.isfinite(loss)][-LAST:]
  return {
    'nats_per_token': nats_per_token(
      policies.text_loss(base.functions, base.size, mesh),
      params,
      *held[:2],
      config['batch_size'],
    ),
    'train_nats_per_token': float(np.mean(losses)),
    'gold': sample_gold(config, base, params, mesh),
  }


if __name__ == '__main__':
  command.main(run, 'configs/lm.py', report=True, several=True)
