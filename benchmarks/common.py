"""What every benchmark shares: clocks, the machine's own rate, rows, flags.

A row is {"benchmark", "device", "shape", "metric", "value", "unit", "commit"}.
Times are medians after warm-ups; `_best` rows are of the fastest round. What is
compared is measured in turns, A B A B, so that a busy machine slows both.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.shapes import SHAPES
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.train.run import environment
from rlhf_jax.train.sharded import on_mesh
from rlhf_jax.train.sharding import batch_sharding, make_mesh, replicated

CUBE = 2048
CUBE_REPEATS = {'cpu': 1}  # elsewhere 64: a call must outlast its launch


def config_of(shape):
  """TransformerConfig of a shape."""
  return TransformerConfig(
    vocab_size=shape.vocab_size,
    n_layers=shape.n_layers,
    d_model=shape.d_model,
    n_heads=shape.n_heads,
    d_mlp=shape.d_mlp,
    activation=shape.activation,
    dtype=shape.dtype,
  )


def device_name():
  """A name fit for a folder: 'cpu-2-cores', 'nvidia-h200'."""
  device = jax.devices()[0]
  if device.platform == 'cpu':
    return f'cpu-{len(os.sched_getaffinity(0))}-cores'
  return re.sub('[^a-z0-9]+', '-', device.device_kind.lower()).strip('-')


class Program(NamedTuple):
  """A compiled function.

  Attributes:
    call: the executable.
    compile_s: seconds to trace, lower and compile it. A persistent compilation
      cache shortens this: unset JAX_COMPILATION_CACHE_DIR to measure it.
    peak_bytes: arguments, outputs and temporaries of one call, in bytes; what
      is donated counts once.
  """

  call: object
  compile_s: float
  peak_bytes: int


def use_every_core():
  """Makes a CPU device of every core, if no device has been touched yet.

  Two programs of one thread each are faster than one of two threads: small
  products, softmax and norms gain little from a second thread.
  """
  cores = len(os.sched_getaffinity(0))
  try:
    jax.config.update('jax_num_cpu_devices', cores)
  except RuntimeError:  # in use already: whoever started it has decided
    pass


def compile_subject(subject):
  """A subject's Program, its state and its other arguments, placed.

  Where there are several devices, each takes its share of the rows.
  """
  devices = jax.local_device_count()
  if devices == 1:
    placed = (subject.state, *subject.args)
    program = compile_program(subject.function, *placed, donate=0)
    return program, placed[0], placed[1:]
  mesh = make_mesh(data=devices)
  whole, rows = replicated(mesh), batch_sharding(mesh)
  given = (subject.state, *subject.args)
  placed = [
    jax.device_put(tree, rows if i == subject.rows else whole)
    for i, tree in enumerate(given)
  ]
  program = compile_program(
    on_mesh(subject.function, mesh),
    *placed,
    donate=0,
    out_shardings=(whole, None),
  )
  return program, placed[0], placed[1:]


def compile_program(function, *args, donate=(), **options):
  """Compiles a pure function ahead of time for these arguments."""
  start = time.perf_counter()
  jitted = jax.jit(function, donate_argnums=donate, **options)
  executable = jitted.lower(*args).compile()
  seconds = time.perf_counter() - start
  memory = executable.memory_analysis()
  peak = memory.argument_size_in_bytes + memory.output_size_in_bytes
  peak += memory.temp_size_in_bytes - memory.alias_size_in_bytes
  return Program(executable, seconds, peak)


def threaded(program, state, *args):
  """A function without arguments that carries the state from call to call.

  The first state is copied, since the program may donate what it is given.
  """
  state = jax.tree.map(jnp.copy, state)

  def call():
    nonlocal state
    state, out = program(state, *args)
    return state, out

  return call


def time_in_turns(calls, rounds, warmups):
  """Seconds of each call, measured in turns and until the device is done.

  Args:
    calls: {name: function without arguments}.
    rounds: how often each is timed.
    warmups: calls of each beforehand, not counted.

  Returns:
    {name: [seconds of each round]}.
  """
  for _ in range(warmups):
    for call in calls.values():
      jax.block_until_ready(call())
  seconds = {name: [] for name in calls}
  for _ in range(rounds):
    for name, call in calls.items():
      start = time.perf_counter()
      jax.block_until_ready(call())
      seconds[name].append(time.perf_counter() - start)
  return seconds


def products(config, logits):
  """The weight products of one forward pass: [(inputs, outputs, how often)].

  Args:
    config: TransformerConfig.
    logits: whether the next-token head belongs to it.
  """
  D, L = config.d_model, config.n_layers
  heads = config.n_heads * config.head_size
  qkv = heads + 2 * config.n_kv_heads * config.head_size
  mlp_in = (2 if config.activation == 'swiglu' else 1) * config.d_mlp
  found = [(D, qkv, L), (heads, D, L), (D, mlp_in, L), (config.d_mlp, D, L)]
  return found + [(D, config.vocab_size, 1)] * logits


def chained_products(shapes, tokens, dtype):
  """A compiled call of nothing but matrix products, and its FLOPs.

  Each W is used as x <- (x W) W^T, so that one result feeds the next and none
  can be left out: [tokens, K] by [K, N], then [tokens, N] by [N, K].

  Args:
    shapes: [(K, N, how often)].
    tokens: rows of x.
    dtype: of x and W.

  Returns:
    (function without arguments, FLOPs of a call: 2 for each multiply-add).
  """
  rng = jax.random.key(0)
  weights = [
    jax.random.normal(rng, (K, N), dtype) / (K**0.5 + N**0.5)  # norm below 1
    for K, N, _ in shapes
  ]

  def chain(weights):
    ends = []
    for weight_KN, (K, _, count) in zip(weights, shapes, strict=True):
      again = lambda _, x, w=weight_KN: (x @ w) @ w.T
      x = jnp.ones((tokens, K), dtype)
      ends.append(jax.lax.fori_loop(0, count, again, x))
    return ends

  program = compile_program(chain, weights)
  flops = sum(4 * tokens * K * N * count for K, N, count in shapes)
  return lambda: program.call(weights), flops


def machine_calls(shape, tokens, logits):
  """The machine's own rates: {'products': (call, FLOPs), 'cube': ...}.

  'products' are the model's weight products on `tokens` rows, 'cube' is 2048 x
  2048 by 2048 x 2048.
  """
  model = products(config_of(shape), logits)
  repeats = CUBE_REPEATS.get(jax.default_backend(), 64)
  return {
    'products': chained_products(model, tokens, shape.dtype),
    'cube': chained_products([(CUBE, CUBE, repeats)], CUBE, shape.dtype),
  }


def copy_call(size):
  """A compiled pass over `size` bytes, and the bytes that it moves.

    y = x + 1: every byte is read once, and as many are written

  Returns:
    (function without arguments, bytes of a call); bytes over seconds is the
    bandwidth of the memory, if `size` is beyond all caches.
  """
  x = jnp.zeros(size // 4, jnp.float32)
  program = compile_program(lambda x: x + 1, x)
  return lambda: program.call(x), 2 * x.nbytes


def rate_lines(seconds, flops, machine):
  """Lines of the arithmetic rates, in 10^9 FLOP/s, and of their ratios.

  Args:
    seconds: of `time_in_turns`, with the names 'program', 'products', 'cube'.
    flops: useful FLOPs of one call of the program.
    machine: of `machine_calls`.
  """
  median = {name: statistics.median(times) for name, times in seconds.items()}
  own = flops / median['program']
  rate = {name: machine[name][1] / median[name] for name in machine}
  return [
    ('gflops_per_s', own / 1e9, 'GFLOP/s'),
    ('products_gflops_per_s', rate['products'] / 1e9, 'GFLOP/s'),
    ('cube_gflops_per_s', rate['cube'] / 1e9, 'GFLOP/s'),
    ('share_of_products_rate', own / rate['products'], 'ratio'),
    ('share_of_cube_rate', own / rate['cube'], 'ratio'),
  ]


def throughput_lines(name, work, seconds, unit):
  """Lines for work done a second: by the median round, and by the best."""
  return [
    (name, work / statistics.median(seconds), unit),
    (f'{name}_best', work / min(seconds), unit),
  ]


def program_lines(program):
  """Lines for what a program costs besides its time."""
  return [
    ('compile_s', program.compile_s, 's'),
    ('peak_bytes', program.peak_bytes, 'bytes'),
  ]


def to_rows(benchmark, shape_name, lines):
  """Rows from (metric, value, unit) lines."""
  fixed = {'benchmark': benchmark, 'device': device_name(), 'shape': shape_name}
  commit = environment()['commit']
  return [
    {
      **fixed,
      'metric': metric,
      'value': float(value),
      'unit': unit,
      'commit': commit,
    }
    for metric, value, unit in lines
  ]


def print_row(row):
  """One line of a table."""
  print(f'  {row["metric"]:32} {row["value"]:16,.4g} {row["unit"]}', flush=True)


def write_rows(path, rows):
  """Writes rows, and the folders above them; None as a path writes nothing."""
  if path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + '\n')


def main(benchmark, measure, argv=None):
  """Runs a benchmark from the command line: prints a table, writes rows.

  Args:
    benchmark: its name.
    measure: (shape, rounds, warmups) -> [(metric, value, unit)].
    argv: arguments; None: those of the process.

  Returns:
    The rows.
  """
  parser = argparse.ArgumentParser(prog=f'python -m benchmarks.{benchmark}')
  parser.add_argument('--json', type=pathlib.Path, help='file for the rows')
  parser.add_argument('--shape', choices=list(SHAPES), default='S')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--warmups', type=int, default=2)
  args = parser.parse_args(argv)
  use_every_core()
  lines = measure(SHAPES[args.shape], args.rounds, args.warmups)
  rows = to_rows(benchmark, args.shape, lines)
  print(f'{benchmark}, shape {args.shape}, {rows[0]["device"]}')
  for row in rows:
    print_row(row)
  write_rows(args.json, rows)
  return rows
