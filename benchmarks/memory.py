"""Temporary memory of an LM step and a PPO update, by length and by chunk.

    python -m benchmarks.memory [--json FILE]

The programs are compiled and not run. A figure is the temp_size_in_bytes of the
compiler's memory analysis: what a step needs besides its arguments and results
(parameters, optimiser state, batch). 'dense' makes all logits [B, T, V] at
once, as a plain `logits_fn` does; a number is a SplitModel's chunk. The PPO
update has prompts and replies of T / 2 tokens; in chunks, it makes the logits
of replies alone.
"""

import argparse
import json
import pathlib

import jax
import jax.numpy as jnp

from benchmarks.common import to_rows
from rlhf_jax.models.build import build
from rlhf_jax.models.ladder import config_for
from rlhf_jax.train.optimiser import make_optimiser
from rlhf_jax.train.ppo import make_ppo_update, separate
from rlhf_jax.train.steps import init_state, make_lm_step
from rlhf_jax.types import Experience, LMBatch, LMHyper, PPOHyper, SplitModel

RNG = jax.random.key(0)


def language_model(model, chunk):
  """What a maker is given: a logits_fn if `chunk` is None, or a SplitModel."""
  if chunk is None:
    return model.logits_fn
  return SplitModel(model.hidden_fn, model.head_fn, chunk)


def lm_step(model, B, T, chunk):
  """(step, shapes of its arguments)."""
  tx = make_optimiser()
  step = make_lm_step(language_model(model, chunk), tx)
  state = jax.eval_shape(lambda rng: init_state(model.init(rng), tx), RNG)
  tokens_BT, length_B = shapes_of(B, T)
  batch = LMBatch(tokens_BT, length_B, length_B)
  return step, (state, batch, RNG, LMHyper(1e-3))


def ppo_update(model, B, T, chunk):
  """(update of one minibatch, shapes of its arguments)."""
  tx = make_optimiser()
  update = make_ppo_update(
    separate(language_model(model, chunk), model.value_fn),
    tx,
    passes=1,
    minibatch_size=B,
    max_reply=None if chunk is None else T // 2,
  )

  def start(rng):
    value = model.init(rng) | {'head': model.init_head(rng)}
    return init_state({'policy': model.init(rng), 'value': value}, tx)

  tokens_BT, length_B = shapes_of(B, T)
  floats = [jax.ShapeDtypeStruct((B, T), jnp.float32)] * 4
  experience = Experience(tokens_BT, length_B, length_B, *floats)
  state = jax.eval_shape(start, RNG)
  return update, (state, experience, RNG, PPOHyper(1e-3, 1e-3))


PROGRAMS = {'lm_step': lm_step, 'ppo_update': ppo_update}


def shapes_of(B, T):
  """Shapes of (tokens_BT, length_B)."""
  return (
    jax.ShapeDtypeStruct((B, T), jnp.int32),
    jax.ShapeDtypeStruct((B,), jnp.int32),
  )


def temp_bytes(program, model, B, T, chunk):
  """Temporary bytes of one of PROGRAMS; `chunk` None is dense."""
  function, args = PROGRAMS[program](model, B, T, chunk)
  compiled = jax.jit(function, donate_argnums=0).lower(*args).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def measure(model, B, lengths, chunks):
  """{(program, T, chunk): bytes} of every combination."""
  return {
    (program, T, chunk): temp_bytes(program, model, B, T, chunk)
    for program in PROGRAMS
    for T in lengths
    for chunk in chunks
  }


def table(found, lengths, chunks):
  """The figures in MB (10^6 bytes), in Markdown."""
  names = ['dense' if chunk is None else str(chunk) for chunk in chunks]
  lines = [
    '| program | T | ' + ' | '.join(names) + ' |',
    '|---|---|' + '---|' * len(names),
  ]
  for program in PROGRAMS:
    for T in lengths:
      cells = [f'{found[program, T, chunk] / 1e6:,.0f}' for chunk in chunks]
      lines.append(f'| {program} | {T} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


def main(argv=None):
  """Prints the table, writes the rows and returns them."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.memory')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument('--size', default='42K', help='rung of the ladder')
  parser.add_argument('--vocabulary', type=int, default=50_000)
  parser.add_argument('--batch', type=int, default=8)
  parser.add_argument('--lengths', type=int, nargs='+', default=[128, 256, 512])
  parser.add_argument('--chunks', type=int, nargs='+', default=[16, 64])
  args = parser.parse_args(argv)
  model = build(config_for(args.size, args.vocabulary))
  chunks = [*args.chunks, None]
  found = measure(model, args.batch, args.lengths, chunks)
  print(
    f'MB of temporaries, rung {args.size}, vocabulary {args.vocabulary:,}, '
    f'{args.batch} rows\n'
  )
  print(table(found, args.lengths, chunks))
  rows = []
  for (program, T, chunk), value in found.items():
    shape = f'{args.size} V={args.vocabulary} B={args.batch} T={T} '
    shape += f'chunk={chunk or "dense"}'
    lines = [(f'{program}_temp_bytes', value, 'bytes')]
    rows += to_rows('memory', shape, lines)
  if args.json:
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(rows, indent=1) + '\n')
  return rows


if __name__ == '__main__':
  main()
