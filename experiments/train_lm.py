"""Stage 2: a language model of one size, trained on the texts of stage 1.

python -m experiments.train_lm --config=configs/lm.py --workdir=DIR
"""

import functools
import math

import jax
import numpy as np

from experiments.shared import command, compute, policies, sources
from experiments.shared.devices import (
  jit_named,
  jit_step,
  made,
  mesh_from,
  row_parts,
  spread,
)
from experiments.shared.files import read_arrays, write_csv
from experiments.shared.models import RUNG, open_base
from rlhf_jax.data.packing import PackedBatches
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.evals.language import make_text_loss, nats_per_token
from rlhf_jax.train.about import About
from rlhf_jax.train.finite import with_guard
from rlhf_jax.train.optimiser import learning_rate_at, make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state, make_lm_step
from rlhf_jax.types import LMBatch, LMHyper, Prompts

LAST = 10  # logged training losses whose mean is reported


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
):
  """Jitted language-model step; several texts a row if packed."""
  step = make_lm_step(
    policies.split_model(functions),
    make_optimiser(b2=b2, weight_decay=weight_decay),
    microbatches=microbatches,
    packed=packed,
  )
  return jit_step(with_guard(step, on_nonfinite), f'lm_step_{label}', mesh)


@functools.cache
def text_loss(functions, label):
  """Jitted loss of held-out texts."""
  loss = make_text_loss(policies.split_model(functions))
  return jit_named(loss, f'lm_loss_{label}')


def texts_of(config, name):
  """The texts of stage 1 in a file of that name, as an LMBatch."""
  file = f'{config["text_dir"]}/{name}.npz'
  data = read_arrays(file, 'tokens_NT', 'length_N')
  return LMBatch(
    data['tokens_NT'].astype(np.int32),
    data['length_N'],
    np.zeros_like(data['length_N']),
  )


def batches_of(config, arrays, mesh, pad_id):
  """The stream of batches: a text a row, or packed into fewer rows."""
  batches = Batches(arrays, config['batch_size'], config['seed'])
  if not config['pack']:
    return batches
  parts = math.lcm(config['microbatches'], row_parts(mesh))
  return PackedBatches(
    batches, config['batch_size'], multiple=parts, pad_id=pad_id
  )


def sample_gold(config, base, params, mesh):
  """Mean gold of the model's own replies; NaN on real data."""
  if config['data']['source'] != 'simulated':
    return float('nan')
  world, words = sources.world_of(config['world']), base.tokenizer
  rng = np.random.default_rng(config['seed'] + 1)
  prompts = sources.sample_prompts(world, rng, config['samples'])
  arrays = encode_prompts(
    [p.text for p in prompts], words, config['max_prompt']
  )
  sampling = policies.sampling_of(words, config['max_reply'])
  sample = policies.sampler(base.functions, base.size, sampling, mesh)
  rows = Prompts(arrays.tokens_NP, arrays.length_N, np.arange(len(prompts)))
  rollout = jax.device_get(sample(params, rows, jax.random.key(config['seed'])))
  replies = policies.decoded(words, *rollout[:3])
  kinds = [p.kind for p in prompts]
  return float(sources.gold_scores(world, arrays.text, kinds, replies).mean())


def run(config, workdir):
  """Trains; writes `params`, `lm.csv`."""
  name = f'{RUNG}{config["size"]}'
  base = open_base(config | {'base': name, 'pad_token': ''}, weights=False)
  row = {'role': 'lm', 'size': base.size, 'seed': config['seed']}
  row |= {'n_params': base.n_params, 'half': 'all'}
  about = About('train_lm', 'language model', base=name)
  with Run(workdir, config, row, about=about) as run_:
    if run_.done:
      return
    arrays, mesh = texts_of(config, 'rows'), mesh_from(config['mesh'])
    batches = batches_of(config, arrays, mesh, base.tokenizer.pad_id)
    static = (config['b2'], config['weight_decay'])
    tx = make_optimiser(b2=static[0], weight_decay=static[1])
    rng = jax.random.key(config['seed'])
    init = lambda rng: init_state(base.functions.init(rng), tx)
    state = run_.restore(made(init, mesh, rng), batches)
    step_fn = lm_step(
      base.functions,
      base.size,
      *static,
      config['microbatches'],
      config['pack'],
      mesh,
      config['on_nonfinite'],
    )
    total = config['steps']
    for step in run_.progress(int(state.step), total):
      rate = learning_rate_at(
        step,
        peak=config['learning_rate'] or base.rate,
        total=total,
        warmup=int(config['warmup'] * total),
        shape='cosine',
      )
      state, metrics = step_fn(state, next(batches), rng, LMHyper(rate))
      metrics = run_.watch(step + 1, metrics, batches.last_rows)
      if (step + 1) % config['log_every'] == 0 or step + 1 == total:
        run_.log(step + 1, metrics)
      if (step + 1) % config['checkpoint_every'] == 0:
        run_.save(state, batches)
    run_.save_params(spread(state.params, None), total)
    tokens = int(total * config['batch_size'] * arrays.length_B.mean())
    found = {'tokens': tokens} | measured(
      config, run_, base, state.params, mesh
    )
    write_csv(run_.path / 'lm.csv', [found])
    flops = compute.lm_flops(base.functions, tokens, arrays.length_B.mean())
    run_.finish(**found, flops=flops)


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
      text_loss(base.functions, base.size),
      params,
      *held[:2],
      config['batch_size'],
    ),
    'train_nats_per_token': float(np.mean(losses)),
    'gold': sample_gold(config, base, params, mesh),
  }


if __name__ == '__main__':
  command.main(run, 'configs/lm.py', report=True)
