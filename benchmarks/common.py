"""What every benchmark shares: devices, clocks, rows, flags.

A row is {"benchmark", "device", "shape", "metric", "value", "unit", "commit"},
and on a CPU its "processor" and "extensions".
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

from benchmarks import processor
from benchmarks.shapes import SHAPES
from rlhf_jax.models.config import TransformerConfig
from rlhf_jax.train.run import environment
from rlhf_jax.train.sharded import on_mesh
from rlhf_jax.train.sharding import batch_sharding, make_mesh, replicated

RESULTS = pathlib.Path(__file__).parent / 'results'


def config_of(shape):
  """TransformerConfig of a shape."""
  return TransformerConfig(
    vocab_size=shape.vocab_size,
    n_layers=shape.n_layers,
    d_model=shape.d_model,
    n_heads=shape.n_heads,
    n_kv_heads=shape.n_kv_heads,
    d_mlp=shape.d_mlp,
    activation=shape.activation,
    dtype=shape.dtype,
    matmul=shape.matmul,
  )


def device_name():
  """A name fit for a folder: 'amd-epyc-25-1-avx2-2-cores', 'nvidia-h200'."""
  device = jax.devices()[0]
  if device.platform == 'cpu':
    return processor.folder_name(len(os.sched_getaffinity(0)))
  return re.sub('[^a-z0-9]+', '-', device.device_kind.lower()).strip('-')


def for_device(name, shape, results=RESULTS):
  """The shape with the microbatch that this device is fastest with.

  Args:
    name: a key of `benchmarks.microbatches.SUBJECTS`.
    shape: Shape; as it is where nothing was measured here.
    results: folder of the folders of devices.
  """
  file = results / device_name() / 'microbatches.json'
  rows = json.loads(file.read_text()) if file.exists() else []
  for row in rows:
    named = (row['metric'], SHAPES.get(row['shape']))
    if named == (f'{name}_rows', shape):
      return shape._replace(microbatch_rows=int(row['value']))
  return shape


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


def device_count(rows, parts, devices):
  """How many of the devices can share the rows of a step: the most that can.

  Each device works on rows / count of its own, in `parts` microbatches; what
  does not divide so runs on one device.

  Args:
    rows: of the batch.
    parts: microbatches of a step.
    devices: how many there are.
  """
  fit = lambda count: rows % (parts * count) == 0
  return max(filter(fit, range(1, devices + 1)), default=1)


def mesh_of(subject):
  """The mesh on which a subject runs; None where one device runs all of it."""
  devices = jax.local_devices()
  count = device_count(subject.samples, subject.parts, len(devices))
  return make_mesh(devices[:count], data=count) if count > 1 else None


def compile_subject(subject, mesh=None):
  """A subject's Program, its state and its other arguments, placed.

  Args:
    subject: of `benchmarks.subjects`.
    mesh: of `mesh_of`: each device takes its share of the rows.
  """
  if mesh is None:
    placed = (subject.state, *subject.args)
    program = compile_program(subject.function, *placed, donate=0)
    return program, placed[0], placed[1:]
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
  if jax.default_backend() == 'cpu':
    fixed |= processor.describe()
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
  parser.add_argument('--shape', nargs='+', choices=list(SHAPES), default=['S'])
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--warmups', type=int, default=2)
  args = parser.parse_args(argv)
  use_every_core()
  rows = []
  for name in args.shape:
    print(f'{benchmark}, shape {name}, {device_name()}')
    lines = measure(SHAPES[name], args.rounds, args.warmups)
    new = to_rows(benchmark, name, lines)
    for row in new:
      print_row(row)
    rows += new
    write_rows(args.json, rows)
  return rows
