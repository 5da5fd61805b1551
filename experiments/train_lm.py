"""Stage 2: a language model of one size, trained on the texts of stage 1.

python -m experiments.train_lm --config=configs/lm.py --workdir=DIR
"""

import math

import jax
import numpy as np

from experiments import make_text
from experiments.shared import command, files, folders, programs, sources
from rlhf_jax.data.packing import PackedBatches
from rlhf_jax.data.pipeline import Batches
from rlhf_jax.data.prompts import encode_prompts
from rlhf_jax.models import ladder
from rlhf_jax.train.optimiser import learning_rate_at
from rlhf_jax.train.run import Run, save_params
from rlhf_jax.train.steps import init_state
from rlhf_jax.types import LMBatch, LMHyper, Prompts


def load(workdir, size, vocab_size, dtype='float32', mesh=None):
  """Parameters of a finished language model, or of a Hugging Face folder."""
  functions = programs.model(size, vocab_size, dtype)
  if folders.is_folder(workdir):
    return folders.load(workdir, functions.config, mesh)
  return programs.restored(workdir, functions.init, mesh)


def batches_of(config, arrays, mesh, pad_id):
  """The stream of batches: a text a row, or packed into fewer rows."""
  batches = Batches(arrays, config['batch_size'], config['seed'])
  if not config['pack']:
    return batches
  parts = math.lcm(config['microbatches'], programs.row_parts(mesh))
  return PackedBatches(
    batches, config['batch_size'], multiple=parts, pad_id=pad_id
  )


def sample_gold(config, tokenizer, params, mesh):
  """Mean gold of the model's own replies; NaN on real data."""
  if config['data']['source'] != 'simulated':
    return float('nan')
  world = sources.world_of(config['world'])
  rng = np.random.default_rng(config['seed'] + 1)
  prompts = sources.sample_prompts(world, rng, config['samples'])
  arrays = encode_prompts(
    [p.text for p in prompts], tokenizer, config['max_prompt']
  )
  sample = programs.sampler(
    config['size'],
    tokenizer.vocab_size,
    config['dtype'],
    programs.sampling_config(tokenizer, config['max_reply']),
    mesh,
  )
  rows = Prompts(arrays.tokens_NP, arrays.length_N, np.arange(len(prompts)))
  rollout = jax.device_get(sample(params, rows, jax.random.key(config['seed'])))
  replies = [
    tokenizer.decode_reply(ids[p:n].tolist())
    for ids, p, n in zip(
      rollout.tokens_BT, rollout.prompt_length_B, rollout.length_B, strict=True
    )
  ]
  kinds = [p.kind for p in prompts]
  return float(sources.gold_scores(world, arrays.text, kinds, replies).mean())


def run(config, workdir):
  """Trains; writes `params`, `lm.csv`."""
  size = ladder.rung(config['size'])
  row = {'role': 'lm', 'size': config['size'], 'seed': config['seed']}
  row |= {'n_params': size.non_embedding, 'half': 'all'}
  with Run(workdir, config, row) as run_:
    if run_.done:
      return
    tokenizer = make_text.load_tokenizer(config['text_dir'])
    data = np.load(f'{config["text_dir"]}/rows.npz')
    arrays = LMBatch(
      data['tokens_NT'].astype(np.int32),
      data['length_N'],
      np.zeros_like(data['length_N']),
    )
    mesh = programs.mesh_of(config['mesh'])
    batches = batches_of(config, arrays, mesh, tokenizer.pad_id)
    key = (config['size'], tokenizer.vocab_size, config['dtype'])
    functions = programs.model(*key)
    static = (config['b2'], config['weight_decay'])
    tx = programs.optimiser(*static)
    rng = jax.random.key(config['seed'])
    init = lambda rng: init_state(functions.init(rng), tx)
    state = run_.restore(programs.made(init, mesh, rng), batches)
    step_fn = programs.lm_step(
      *key, *static, config['microbatches'], config['pack'], mesh
    )
    total = config['steps']
    for step in run_.progress(int(state.step), total):
      rate = learning_rate_at(
        step,
        peak=config['learning_rate'] or size.learning_rate,
        total=total,
        warmup=int(config['warmup'] * total),
        shape='cosine',
      )
      state, metrics = step_fn(state, next(batches), rng, LMHyper(rate))
      if (step + 1) % config['log_every'] == 0 or step + 1 == total:
        run_.log(step + 1, metrics)
      if (step + 1) % config['checkpoint_every'] == 0:
        run_.save(state, batches)
    save_params(run_.path, programs.spread(state.params, None))
    last = [r['loss'] for r in run_.rows('train')][-10:]
    summary = {
      'tokens': int(total * config['batch_size'] * arrays.length_B.mean()),
      'nats_per_token': float(np.mean(last)),
      'gold': sample_gold(config, tokenizer, state.params, mesh),
    }
    files.write_csv(run_.path / 'lm.csv', [summary])
    run_.finish(**summary)


if __name__ == '__main__':
  command.main(run, 'configs/lm.py', report=True)
