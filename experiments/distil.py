"""Context distillation: a student learns what its prompted teacher thinks.

    python -m experiments.distil --config=configs/distil.py --workdir=DIR

The student is any language model with the teacher's tokenizer; it reads the
texts without the prompt, and its divergence from the stored distributions, over
50 ids and one bucket, is what is minimised: at 0.05 times the rate of its
pretraining, falling to 0, 32 texts a step (Bai et al. 2022, appendix A.1).
Trained is all of it, or adapters over it frozen. A real model reads the texts
as its chat template has them: behind the student's prefix of the targets.
"""

import functools

import jax
import numpy as np

from experiments.shared import command, trained
from experiments.shared.devices import (
  jit_measure,
  jit_step,
  mesh_from,
  share_of,
  spread,
)
from experiments.shared.files import write_csv
from experiments.shared.models import open_base
from experiments.shared.pages import behind
from experiments.shared.targets import KINDS, read_targets, student_prefix
from rlhf_jax.data.pipeline import Batches, take_rows
from rlhf_jax.evals.distillation import make_target_divergence
from rlhf_jax.train.about import About
from rlhf_jax.train.finite import with_guard
from rlhf_jax.train.optimiser import learning_rate_at, make_optimiser
from rlhf_jax.train.run import Run
from rlhf_jax.train.steps import init_state, make_distil_step
from rlhf_jax.types import LMHyper


@functools.cache
def distil_step(
  functions,
  label,
  b2,
  weight_decay,
  microbatches,
  mesh,
  on_nonfinite,
  prefix=(),
  way=None,
):
  """Jitted step of context distillation, behind the student's prefix.

  With a Way of adapters: step(state, base, batch, rng, hyper).
  """
  step = make_distil_step(
    behind(functions, prefix),
    make_optimiser(b2=b2, weight_decay=weight_decay),
    microbatches=microbatches,
    combine=way.attach if way else None,
  )
  return jit_step(with_guard(step, on_nonfinite), f'distil_step_{label}', mesh)


@functools.cache
def target_divergence(functions, label, mesh, prefix=()):
  """Jitted divergence of a batch of texts."""
  divergence = make_target_divergence(behind(functions, prefix))
  return jit_measure(divergence, f'distil_kl_{label}', mesh)


def measure(divergence, params, held, kind_N, batch_size, tokens):
  """Rows of distillation.csv: mean nats a token, by kind and over all."""
  N = len(held.length_B)
  parts = []
  for i in range(0, N, batch_size):
    index_B = np.minimum(np.arange(i, i + batch_size), N - 1)
    out = jax.device_get(divergence(params, take_rows(held, index_B)))
    parts.append(np.stack(out, 1)[: N - i])
  nats_N, count_N = np.concatenate(parts).T
  rows = []
  for k, kind in enumerate((*KINDS, 'all')):
    inside = (kind_N == k) | (kind == 'all')
    kl = nats_N[inside].sum() / count_N[inside].sum()
    rows.append({'tokens': tokens, 'texts': kind, 'kl': float(kl)})
  return rows


def stepping(config, base, mesh, prefix):
  """(state, batch, rng, hyper) -> (state, metrics), compiled at its call."""
  way = way_of(config)
  adapted = way.kind == 'adapters'
  step = distil_step(
    base.functions,
    base.size,
    config['b2'],
    config['weight_decay'],
    config['microbatches'],
    mesh,
    config['on_nonfinite'],
    prefix,
    way if adapted else None,
  )
  frozen = (base.params,) if adapted else ()
  return lambda state, *rest: step(state, *frozen, *rest)


def way_of(config):
  """The Way of a config; those of before train all."""
  return trained.way_of({'trained': 'all'} | config)


def run(config, workdir):
  """Trains; writes `params` and `distillation.csv`."""
  base, way = open_base(config, weights=False), way_of(config)
  row = {k: config[k] for k in ('role', 'seed', 'half')}
  row |= {'size': base.size, 'n_params': base.n_params}
  about = About('distil', 'language model', way.kind, config['base'])
  loggers = config.get('loggers', ())
  with Run(workdir, config, row, about=about, loggers=loggers) as run_:
    if run_.done:
      return
    mesh = mesh_from(config['mesh'])
    base, folder = open_base(config, mesh), config['targets_dir']
    arrays, _ = read_targets(f'{folder}/targets.npz')
    held = read_targets(f'{folder}/heldout.npz')
    prefix = student_prefix(folder)
    order = config['batch_size'], config['seed']
    batches = Batches(arrays, *order, share=share_of(mesh))
    tx = make_optimiser(b2=config['b2'], weight_decay=config['weight_decay'])
    start = trained.policy({'trained': 'all'} | config, base)
    state = run_.restore(spread(init_state(start, tx), mesh), batches)
    step_fn = stepping(config, base, mesh, prefix)
    state = train(config, run_, base, step_fn, state, batches)
    divergence = target_divergence(base.functions, base.size, mesh, prefix)
    tokens = int(config['steps'] * config['batch_size'])
    tokens = int(tokens * (arrays.length_B - 1).mean())
    after = way.merge(base.params, state.params)
    before, after = (
      measure(divergence, params, *held, config['eval_batch'], count)
      for params, count in ((base.params, 0), (after, tokens))
    )
    run_.save_params(spread(state.params, None), config['steps'])
    write_csv(run_.path / 'distillation.csv', [*before, *after])
    run_.finish(before=before[-1]['kl'], after=after[-1]['kl'])


def train(config, run_, base, step_fn, state, batches):
  """The loop; the state after the last step."""
  rng, total = jax.random.key(config['seed']), config['steps']
  peak = config['learning_rate'] or base.rate * config['lr_multiple']
  for step in run_.progress(int(state.step), total):
    rate = learning_rate_at(
      step,
      peak=peak,
      total=total,
      warmup=int(config['warmup'] * total),
      shape='linear',
    )
    state, metrics = step_fn(state, next(batches), rng, LMHyper(rate))
    metrics = run_.watch(step + 1, metrics, batches.last_rows)
    if (step + 1) % config['log_every'] == 0 or step + 1 == total:
      run_.log(step + 1, metrics)
    if (step + 1) % config['checkpoint_every'] == 0:
      run_.save(state, batches)
  return state


if __name__ == '__main__':
  command.main(run, 'configs/distil.py', report=True, several=True)
